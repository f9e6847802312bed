"""Which chat template a model has, and the special tokens it writes: told by files alone. Light."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def special_tokens(tokenizer_config: Mapping[str, Any]) -> dict[str, str]:
    """Return `bos_token`, `eos_token` and so on as templates write them."""
    return {
        name: text
        for name, value in tokenizer_config.items()
        if name.endswith("_token") and (text := _text_of(value))
    }


def _text_of(token: Any) -> str:
    if isinstance(token, Mapping):
        return str(token.get("content", ""))
    return token if isinstance(token, str) else ""


def own_template(tokenizer_config: Mapping[str, Any], beside: str | None = None) -> str | None:
    """Return the tokenizer's own chat template: the file beside it, else its config's."""
    if beside:
        return beside
    template = tokenizer_config.get("chat_template")
    if isinstance(template, list):
        return _default_of(template)
    return template if isinstance(template, str) else None


def _default_of(templates: Iterable[Any]) -> str | None:
    """Return the first template of a list, or the one called default; what is none is left out."""
    named = (one for one in templates if isinstance(one, Mapping))
    by_name = {str(one.get("name")): one.get("template") for one in named}
    found = by_name.get("default") or next(iter(by_name.values()), None)
    return found if isinstance(found, str) else None
