"""LoRA: a small adapter is trained beside a frozen model, and merged into it where that is asked.

peft is imported only where an adapter is asked for: it takes a second to start.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from worker.common import Lora, Memory
from worker.engine.model import Loaded, adapter_of
from worker.errors import BadConfig


def adapt(loaded: Loaded, params: Memory, kind: str | None, **more: Any) -> Loaded:
    """Return the model with a fresh adapter where `params` ask for one, otherwise as it is.

    `kind` is peft's name of what the model does, such as `CAUSAL_LM`; `more` are further settings
    of peft's, such as `modules_to_save`: layers that are new and trained whole. Raises `BadConfig`.
    """
    lora = adapter_of(params)
    if lora is None:
        return loaded
    model = _adapted(loaded, lora, quantized=params.quantization is not None, kind=kind, more=more)
    begun = _begun(model) if lora.init_lora_weights == "pissa" else None
    return replace(loaded, model=model, begun=begun)


def _adapted(
    loaded: Loaded, lora: Lora, *, quantized: bool, kind: str | None, more: dict[str, Any]
) -> Any:
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    model, ref = loaded.model, loaded.source.ref
    if quantized:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    wanted = [name.strip() for name in lora.target_modules.split(",")]
    settings = LoraConfig(
        task_type=kind,
        r=lora.lora_r,
        lora_alpha=lora.lora_alpha,
        lora_dropout=lora.lora_dropout,
        target_modules=wanted[0] if wanted == ["all-linear"] else wanted,
        use_dora=lora.use_dora,
        use_rslora=lora.use_rslora,
        init_lora_weights="pissa" if lora.init_lora_weights == "pissa" else True,
        base_model_name_or_path=ref.name,
        revision=ref.revision,
        **more,
    )
    try:
        with _quiet():
            return get_peft_model(model, settings)
    except ValueError as error:
        raise BadConfig(f"No adapter fits: {error}", fix="--target-modules all-linear") from error


def _begun(model: Any) -> dict[str, torch.Tensor]:
    """Return a copy of an adapter that has been taken out of the weights."""
    return {n: p.detach().cpu().clone() for n, p in model.named_parameters() if p.requires_grad}


@contextmanager
def _quiet() -> Iterator[None]:
    """Say nothing of a name that transformers has changed, nor of what peft sets right itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.filterwarnings("ignore", "fan_in_fan_out", UserWarning)
        yield


def save_adapter(model: Any, folder: Path, begun: Mapping[str, torch.Tensor] | None) -> None:
    """Write an adapter so that it fits the base as it was published.

    One that was taken out of the weights goes out as the difference to where it had `begun`, which
    takes twice the rank.
    """
    if begun is None:
        model.save_pretrained(folder)
        return
    config = model.peft_config["default"]
    config.init_lora_weights = True
    config.r *= 2
    config.lora_alpha *= 2**0.5 if config.use_rslora else 2
    model.save_pretrained(folder, state_dict=_difference(model.state_dict(), begun))


def _difference(
    now: Mapping[str, torch.Tensor], begun: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Return an adapter of twice the rank: B A - B0 A0 = [B, -B0] [A; A0]."""
    found = dict(now)
    for name, first in begun.items():
        if ".lora_A." in name:
            found[name] = torch.cat([now[name], first.to(now[name])])
        elif ".lora_B." in name:
            found[name] = torch.cat([now[name], -first.to(now[name])], 1)
    return found


def merged(loaded: Loaded, params: Memory, folder: Path) -> Any:
    """Return the model with its adapter merged in.

    Weights that were rounded to train beside them, to few bits or to bfloat16 from a checkpoint in
    float16, are not what was published, and merging would round the adapter too: it goes to
    `folder`, and from there into the base as it was published, in main memory.
    """
    model, precision = loaded.model, loaded.precision
    exact = precision.weights in {precision.checkpoint, torch.float32}
    if exact and params.quantization is None:
        return model.merge_and_unload()
    save_adapter(model, folder, loaded.begun)
    base = loaded.source.load(dtype=precision.checkpoint)
    if getattr(model, "generation_config", None) is not None:
        base.generation_config = model.generation_config
    return merged_into(base, folder)


def merged_into(base: Any, folder: Path) -> Any:
    """Return a model with the adapter in `folder` merged into its weights, in their own type."""
    from peft import PeftModel

    return PeftModel.from_pretrained(base, folder).merge_and_unload()
