"""The finished model as a folder that others can load: weights, config, how to generate."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig

from worker.engine import processes
from worker.engine.adapter import save_adapter
from worker.engine.transformers4 import model_for_both


def save_model(
    model: Any, folder: Path, dtype: torch.dtype, begun: Mapping[str, torch.Tensor] | None = None
) -> None:
    """Write safetensors and how to generate to `folder`.

    A whole model goes out in `dtype`, an adapter alone, in 32 bits; `begun` is as in `Loaded`.
    """
    adapter, first = hasattr(model, "peft_config"), processes.is_first()
    if not adapter:
        model.to(dtype)
    if model.can_generate():
        model.config.use_cache = True  # off only while training
    else:
        vars(model.config).pop("use_cache", None)  # set by transformers' Trainer, and meaningless
    if first:
        _save_generation(model, folder)  # peft leaves it out, and with it where answers end
    if adapter:
        save_adapter(model, folder, begun)
    else:
        model.save_pretrained(folder, is_main_process=first)
        if first:
            model_for_both(folder)
    if first:  # peft's empty card; the supervisor writes one
        (folder / "README.md").unlink(missing_ok=True)


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
