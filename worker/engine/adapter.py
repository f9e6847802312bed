"""LoRA: a small adapter is trained beside a frozen model, and merged into it where that is asked.

peft is imported only where an adapter is asked for: it takes a second to start.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from worker.common import EVERY_LINEAR, Lora, Memory
from worker.engine import processes
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
    processes.divide(loaded.model)  # else what a first pass left whole is frozen, and not its share
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
        target_modules=wanted[0] if wanted == [EVERY_LINEAR] else wanted,
        use_dora=lora.use_dora,
        use_rslora=lora.use_rslora,
        init_lora_weights="pissa" if lora.init_lora_weights == "pissa" else True,
        base_model_name_or_path=ref.name,
        revision=ref.revision,
        **more,
    )
    try:
        with _quiet():
            adapted = get_peft_model(model, settings)
    except ValueError as error:
        raise BadConfig(
            f"No adapter fits: {error}", fix=f"--target-modules {EVERY_LINEAR}"
        ) from error
    for layer in adapted.modules():
        for name, weights in layer.named_parameters(recurse=False):
            if weights.requires_grad:  # peft leaves new layers, trained whole, as the base has them
                setattr(layer, name, torch.nn.Parameter(processes.whole(weights.data).float()))
    shorten(adapted)
    return adapted


def shorten(adapted: Any) -> None:
    """Take plain LoRA in fewer steps than peft does: the same sum, and less to keep in memory.

    peft makes 32 bits of each input, which mixed precision makes 16 of again, and scales and adds
    what comes out in steps of their own. On an H100 a loop by hand trained LoRA on a model of 1B at
    34,100 tokens a second with this, and at 30,700 without the last two.
    """
    for layer in adapted.modules():
        if isinstance(getattr(layer, "lora_A", None), torch.nn.ModuleDict) and layer.lora_A:
            layer.forward = partial(_low_rank, layer, layer.forward)


def _low_rank(
    layer: Any, as_peft_does: Callable[..., Any], x: torch.Tensor, *args: Any, **more: Any
) -> Any:
    """Return x W + scaling * dropout(x) A B."""
    name, *others = layer.active_adapters or [""]
    plain = not (others or args or more or layer.lora_variant or layer.merged)
    if not plain or layer.disable_adapters or not _takes(layer, name, x):
        return as_peft_does(x, *args, **more)
    whole = layer.base_layer(x)
    down, up = layer.lora_A[name](layer.lora_dropout[name](x)), layer.lora_B[name]
    added = torch.addmm(
        whole.flatten(0, -2), down.flatten(0, -2), up.weight.t(), alpha=layer.scaling[name]
    )
    return added.view_as(whole)


def _takes(layer: Any, name: str, x: torch.Tensor) -> bool:
    """Whether an adapter of two matrices takes `x` as it is."""
    pair = [part[name] for part in (layer.lora_A, layer.lora_B) if name in part]
    linear = [type(part) is torch.nn.Linear and part.bias is None for part in pair]
    if linear != [True, True]:
        return False
    return torch.is_autocast_enabled(x.device.type) or x.dtype == pair[0].weight.dtype


def _begun(model: Any) -> dict[str, torch.Tensor]:
    """Return a copy of an adapter that has been taken out of the weights."""
    return {n: p.detach().cpu().clone() for n, p in model.named_parameters() if p.requires_grad}


@contextmanager
def _quiet() -> Iterator[None]:
    """Say nothing of a name that transformers has changed, nor of what is set right by itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        for right in ("fan_in_fan_out", ".*tie_word_embeddings"):
            warnings.filterwarnings("ignore", right, UserWarning)
        yield


def save_adapter(model: Any, folder: Path, begun: Mapping[str, torch.Tensor] | None) -> None:
    """Write an adapter so that it fits the base as it was published.

    One that was taken out of the weights goes out as the difference to where it had `begun`, which
    takes twice the rank.
    """
    first = processes.is_first()
    if begun is None:
        model.save_pretrained(folder, is_main_process=first)
        return
    config = model.peft_config["default"]
    config.init_lora_weights = True
    config.r *= 2
    config.lora_alpha *= 2**0.5 if config.use_rslora else 2
    now = _difference(model.state_dict(), begun)
    model.save_pretrained(folder, state_dict=now, is_main_process=first)


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
    float16, are not what was published, and merging would round the adapter too; of weights that
    are divided, no process has all. There the adapter goes to `folder`, and into the base as it was
    published, in main memory of the first process; others return none.
    """
    model, precision = loaded.model, loaded.precision
    exact = precision.weights in {precision.checkpoint, torch.float32}
    if exact and params.quantization is None and not processes.sharded():
        return _unwrapped(model)
    save_adapter(model, folder, loaded.begun)
    if not processes.is_first():
        return None
    base = loaded.source.load(dtype=precision.checkpoint)
    if getattr(model, "generation_config", None) is not None:
        base.generation_config = model.generation_config
    return merged_into(base, folder)


def merged_into(base: Any, folder: Path) -> Any:
    """Return a model with the adapter in `folder` merged into its weights, in their own type."""
    from peft import PeftModel

    with _quiet():
        return _unwrapped(PeftModel.from_pretrained(base, folder))


def _unwrapped(adapted: Any) -> Any:
    """Return the model that the adapter is merged into.

    Where the output is the same matrix as the embeddings, and one of both has an adapter, they
    become two: else what is merged into one would change the other, too.
    """
    model = adapted.get_base_model()
    if hasattr(model, "get_output_embeddings"):
        ends = [model.get_input_embeddings(), model.get_output_embeddings()]
        if any(hasattr(end, "lora_A") for end in ends) and ends[0].weight is ends[1].weight:
            output = getattr(ends[1], "base_layer", ends[1])
            output.weight = torch.nn.Parameter(output.weight.detach().clone())
    with _quiet():
        return adapted.merge_and_unload()
