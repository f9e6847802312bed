"""The tokenizer that goes out with a model: its chat template, and where what it says ends."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from worker.engine.transformers4 import tokenizer_for_both

_MARKS = re.compile(r"(?<=\{%)(-?\s*)(end)?generation(?=\s*-?%\})")
"""What templates tell the trainer and not every program that loads the model understands."""


def save_tokenizer(tokenizer: Any, template: str | None, folder: Path) -> None:
    """Write the tokenizer with the chat template the model was trained on."""
    if template is not None:
        tokenizer.chat_template = without_marks(template)
    tokenizer.save_pretrained(folder)
    tokenizer_for_both(folder, tokenizer.model_input_names)


def without_marks(template: str) -> str:
    """Return a template that writes the same text, white space too, without `generation` tags."""
    return _MARKS.sub(lambda mark: mark[1] + ("endif" if mark[2] else "if true"), template)


def ends_of(config: Any) -> list[int]:
    """Return the tokens that end what a model says, by its generation config or its tokenizer."""
    known = config.eos_token_id
    return [known] if isinstance(known, int) else list(known or [])


def ends_turns(model: Any, tokenizer: Any, end: str | None, template: str | None) -> None:
    """Let generation stop at `end`, the token that ends what the model learned to say.

    Where the model did not stop there before, it also becomes the tokenizer's end of text: an
    adapter is loaded with its base model's generation config, and those who write
    `eos_token_id=tokenizer.eos_token_id` then get it right. A template that writes the end of
    text itself keeps the one it was trained with.
    """
    config = getattr(model, "generation_config", None)
    token = tokenizer.convert_tokens_to_ids(end) if end else None
    if end is None or config is None or token in {None, tokenizer.unk_token_id}:
        return
    ends = ends_of(config)
    if token in ends:
        return
    config.eos_token_id = [*ends, token]
    if "eos_token" not in (template or ""):
        tokenizer.eos_token = end
