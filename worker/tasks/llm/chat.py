"""Chats become text, and the text says which of its characters the model is to learn.

Preflight and training render with this one implementation. It follows transformers (sandbox,
trimmed blocks, `raise_exception`, `strftime_now`, `tojson`, the `generation` tag) and is tested
against it, but needs only jinja2. It does not know tokens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib.resources import files
from os.path import commonprefix
from typing import Any

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
import jinja2.sandbox
import jinja2.utils

Message = Mapping[str, Any]
Tools = Sequence[Mapping[str, Any]]
"""Functions a model may call, described as JSON schemas."""

Spans = tuple[tuple[int, int], ...]
"""Character ranges, from and up to."""

_SAYS_ITSELF = re.compile(r"\{%-?\s*generation\s*-?%\}")


class _Generation(jinja2.ext.Extension):
    """`{% generation %} … {% endgeneration %}`: what stands inside was said by the model."""

    tags = {"generation"}  # noqa: RUF012 (the name and type jinja2 looks for)
    open, close = "\ue0fe<said>\ue0fe", "\ue0fe</said>\ue0fe"
    """Marks around it in the rendered text, taken out again by `_without_marks`."""

    def parse(self, parser: jinja2.parser.Parser) -> jinja2.nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        call = self.call_method("_marked")
        return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _marked(self, caller: Callable[[], str]) -> str:
        return self.open + caller() + self.close


class _Namespace(jinja2.utils.Namespace):
    """What `namespace()` makes in a template: templates are strangers' code, so no dunders."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__()
        for name, value in dict(*args, **attributes).items():
            self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            raise jinja2.exceptions.SecurityError(f"a template may not set {name!r}")
        super().__setitem__(name, value)


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)


def _dict(*pairs: Any, **items: Any) -> dict[Any, Any]:
    return dict(*pairs, **items)  # a function has no class attributes to climb through


def _to_json(value: Any, ensure_ascii: bool = False, **how: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, **how)


@cache
def _compiled(source: str) -> jinja2.Template:
    sandbox = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, jinja2.ext.loopcontrols]
    )
    sandbox.filters["tojson"] = _to_json
    sandbox.globals["raise_exception"] = _refuse
    sandbox.globals["dict"] = _dict
    sandbox.globals["namespace"] = _Namespace
    sandbox.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return sandbox.from_string(source)


def named(name: str) -> str:
    """Return the source of one of our own templates: `chatml` or `zephyr`."""
    return (files(__package__) / "templates" / f"{name}.jinja").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Template:
    """A chat template with the special tokens it may write.

    Raises `jinja2.TemplateError` where the template refuses a chat.
    """

    source: str
    tokens: Mapping[str, str] = field(default_factory=dict)
    """`bos_token`, `eos_token`, … as the tokenizer spells them."""

    ends: frozenset[str] = frozenset()
    """Tokens that can end a turn; white space behind one is not learned."""

    def render(self, chat: Sequence[Message], tools: Tools = (), *, prompt: bool = False) -> str:
        """Return the chat as text; with `prompt` it stops where the model is to speak."""
        return _without_marks(self._marked(chat, tools, prompt=prompt))[0]

    def learned(
        self, chat: Sequence[Message], tools: Tools = (), *, given: int = 0
    ) -> tuple[str, Spans, int]:
        """Return the text, where the assistant speaks in it, and how many turns were not found.

        The first `given` messages are a prompt, whoever speaks in them. The template's own
        `generation` marks say where, to which a turn's end is added if they leave it out: who
        never learns it never stops. Without them a turn is what rendering it adds to rendering
        the chat up to it. A turn is not found when the template writes earlier turns differently
        once later ones follow.
        """
        text, spans = _without_marks(self._marked(chat, tools))
        turns = [i for i, message in enumerate(chat) if message["role"] == "assistant"]
        wanted = [i for i in turns if i >= given]
        if spans or _SAYS_ITSELF.search(self.source):
            said = spans[len(turns) - len(wanted) :]
            return text, tuple(self._with_end(text, *span) for span in said), 0
        found = [span for i in wanted if (span := self._turn(chat, tools, i, text))]
        return text, tuple(found), len(wanted) - len(found)

    def _with_end(self, text: str, start: int, end: int) -> tuple[int, int]:
        if text[start:end].rstrip().endswith(tuple(self.ends)):
            return start, end
        follows = (token for token in self.ends if text.startswith(token, end))
        return start, end + len(max(follows, key=len, default=""))

    def _turn(
        self, chat: Sequence[Message], tools: Tools, i: int, text: str
    ) -> tuple[int, int] | None:
        try:
            prompted = self.render(chat[:i], tools, prompt=True)
            through = text if i == len(chat) - 1 else self.render(chat[: i + 1], tools)
            # Some prompts begin a thought that answers without one do not have.
            before = commonprefix([prompted, through])  # noqa: RUF071 (of texts, not paths)
            strays = before != prompted and not before.startswith(self.render(chat[:i], tools))
        except jinja2.TemplateError:
            return None
        if strays or not text.startswith(through):
            return None
        said = through[len(before) :]
        bare = said.rstrip()
        end = len(bare) if bare.endswith(tuple(self.ends)) else len(said)
        return (len(before), len(before) + end) if end else None

    def _marked(self, chat: Sequence[Message], tools: Tools, *, prompt: bool = False) -> str:
        return _compiled(self.source).render(
            messages=[dict(message) for message in chat],
            tools=list(tools) or None,
            documents=None,
            add_generation_prompt=prompt,
            **self.tokens,
        )


def _without_marks(marked: str) -> tuple[str, Spans]:
    pieces: list[str] = []
    spans: list[tuple[int, int]] = []
    at = 0
    for i, piece in enumerate(marked.split(_Generation.open)):
        inside, _, outside = piece.rpartition(_Generation.close) if i else ("", "", piece)
        if inside:
            spans.append((at, at + len(inside)))
        pieces += [inside, outside]
        at += len(inside) + len(outside)
    return "".join(pieces), tuple(spans)


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


def _default_of(templates: Iterable[Mapping[str, str]]) -> str | None:
    by_name = {template["name"]: template["template"] for template in templates}
    return by_name.get("default") or next(iter(by_name.values()), None)
