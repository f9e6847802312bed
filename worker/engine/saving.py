"""The finished model as a folder that others can load: weights, tokenizer, template."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig

_MARKS = re.compile(r"(?<=\{%)(-?\s*)(end)?generation(?=\s*-?%\})")
"""What templates tell the trainer and not every program that loads the model understands."""

_OURS_ALONE = ("backend", "is_local", "local_files_only")
"""Keys transformers 5 adds to a tokenizer's config that say nothing about the tokenizer."""


def save_model(model: Any, folder: Path, dtype: torch.dtype) -> None:
    """Write safetensors and how to generate to `folder`.

    A whole model goes out in `dtype`, an adapter alone, in 32 bits.
    """
    adapter = hasattr(model, "peft_config")
    if not adapter:
        model.to(dtype)
    model.config.use_cache = True  # off only while training
    _save_generation(model, folder)  # peft leaves it out, and with it where answers end
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)  # peft's empty card; the supervisor writes one


def _save_generation(model: Any, folder: Path) -> None:
    """Write how to generate, without what transformers refuses to write.

    Published settings may contradict one another, as a temperature without sampling does. They are
    let pass as long as nothing in them has changed, and we add where answers end.
    """
    config = getattr(model, "generation_config", None)
    if config is None:
        return
    with suppress(ValueError):
        config.save_pretrained(folder)
        return
    config.do_sample = True  # who published a temperature samples
    with suppress(ValueError):
        config.save_pretrained(folder)
        return
    known = {n: getattr(config, n) for n in ("bos_token_id", "eos_token_id", "pad_token_id")}
    model.generation_config = GenerationConfig(**known)
    model.generation_config.save_pretrained(folder)


def save_tokenizer(tokenizer: Any, template: str | None, folder: Path) -> None:
    """Write the tokenizer with the chat template the model was trained on."""
    if template is not None:
        tokenizer.chat_template = without_marks(template)
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    if config.get("tokenizer_class") == "TokenizersBackend":  # transformers 4 does not know it
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
    for key in _OURS_ALONE:
        config.pop(key, None)
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def without_marks(template: str) -> str:
    """Return a template that writes the same text, white space too, without `generation` tags."""
    return _MARKS.sub(lambda mark: mark[1] + ("endif" if mark[2] else "if true"), template)


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
    known = config.eos_token_id
    ends = [known] if isinstance(known, int) else list(known or [])
    if token in ends:
        return
    config.eos_token_id = [*ends, token]
    if "eos_token" not in (template or ""):
        tokenizer.eos_token = end
