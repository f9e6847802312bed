"""The file itself: one weight after the other, so that no more than one is in memory."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from worker.contract import ModelRef
from worker.engine.source import Source
from worker.engine.speaking import ends_of
from worker.errors import BadConfig
from worker.tasks.llm.training.gguf import architectures, vocabulary

_SMALL = 32
"""Weights in a block of the small types: rows of another length are kept in 16 bits."""

_LARGEST = torch.finfo(torch.float16).max

_WHOLE = re.compile(r"_norm\.weight$|^position_embd|^rope_f")
"""Names of weights that are always kept in 32 bits, beside vectors and what is no weight."""

_ENDS = ("token_embd.weight", "output.weight")
"""Which the types of four and five bits leave in eight, as llama.cpp leaves them in more."""


_BUFFERS = (".attn.bias", ".attn.masked_bias", "inv_freq")
"""Ends of what older checkpoints hold beside weights."""

Weight = tuple[Path, str]
"""Where a weight is, and what it is called there."""


def write(folder: Path, file: Path, kind: str, name: str) -> str:
    """Write the model in `folder` in numbers of a `kind`, such as `q8_0`.

    `name` is what it is called in the file, and in words. Returns what llama.cpp does otherwise
    than transformers, empty for nothing. Raises `BadConfig`.
    """
    from gguf import GGUFWriter, LlamaFileType, get_tensor_name_map
    from gguf.constants import GGML_QUANT_VERSION, MODEL_ARCH, MODEL_ARCH_NAMES

    logging.getLogger("gguf").setLevel(logging.ERROR)
    source = Source(ModelRef(name=str(folder)), AutoConfig)
    config, tokenizer = source.config(), source.processor(AutoTokenizer)
    known = architectures.architecture_of(config, name)
    arch = next(a for a, called in MODEL_ARCH_NAMES.items() if called == known.name)
    writer = GGUFWriter(file, MODEL_ARCH_NAMES[MODEL_ARCH(arch)])
    writer.add_type("model")
    writer.add_name(vocabulary.called(name, tokenizer))
    said = LlamaFileType.ALL_F32 if kind == "f32" else LlamaFileType[f"MOSTLY_{kind.upper()}"]
    writer.add_file_type(said)
    writer.add_quantization_version(GGML_QUANT_VERSION)
    architectures.describe(writer, known, config)
    otherwise = vocabulary.describe(writer, tokenizer, config.vocab_size, _ends(folder), name)
    names = partial(
        get_tensor_name_map(arch, config.num_hidden_layers).get_name,
        try_suffixes=(".weight", ".bias"),
    )
    weights = dict(_renamed(folder, names, known, config, name))
    _write(writer, weights, known, config, kind)
    return otherwise


def stored_kind(folder: Path) -> str:
    """Return GGUF's name of the type of numbers that a model is stored in, 32 bits if unsure."""
    kinds = {"F16": "f16", "BF16": "bf16"}
    for path, called in _stored(folder):
        with safe_open(path, "pt") as stored:
            part = stored.get_slice(called)
            if len(part.get_shape()) > 1:
                return kinds.get(part.get_dtype(), "f32")
    return "f32"


def _stored(folder: Path) -> Iterator[Weight]:
    """Yield the weights of a model."""
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as stored:
            yield from ((path, called) for called in stored.keys())  # noqa: SIM118 (no mapping)


def _ends(folder: Path) -> list[int]:
    """Return the tokens at which answers end, by the model's generation config."""
    if not (folder / "generation_config.json").exists():
        return []
    return ends_of(GenerationConfig.from_pretrained(folder))


def _renamed(
    folder: Path, names: Any, known: architectures.Architecture, config: Any, model: str
) -> Iterator[tuple[str, Weight]]:
    """Yield llama.cpp's name of each weight, and where it is. Raises `BadConfig`."""
    tied = known.tied or bool(getattr(config, "tie_word_embeddings", False))
    for path, called in _stored(folder):
        if (tied and called == "lm_head.weight") or called.endswith(_BUFFERS):
            continue
        found = names(called) or names(f"transformer.{called}")  # GPT-2 was published without
        if found is None:
            raise BadConfig(
                f"{model} has weights that llama.cpp does not know: {called}.",
                fix=architectures.CONVERTER,
            )
        yield found, (path, called)


def _write(
    writer: Any,
    weights: dict[str, Weight],
    known: architectures.Architecture,
    config: Any,
    kind: str,
) -> None:
    import numpy
    from gguf import GGMLQuantizationType
    from gguf.quants import quant_shape_to_byte_shape, quantize

    made = architectures.frequencies(config)
    plan = {}
    for name in (*made, *weights):
        shape = tuple(made[name].shape) if name in made else _shape(weights[name], known, config)
        typed = GGMLQuantizationType[_kind(name, shape, kind).upper()]
        stored = quant_shape_to_byte_shape(shape, typed)
        plan[name] = typed
        writer.add_tensor_info(
            name, stored, numpy.dtype(numpy.uint8), int(numpy.prod(stored)), typed
        )
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for name, typed in plan.items():
            found = made[name] if name in made else _read(weights[name], known, config)
            if typed == GGMLQuantizationType.F16 and found.abs().max() > _LARGEST:
                raise BadConfig(f"{name} holds numbers too large for f16.", fix="--gguf bf16")
            writer.write_tensor_data(quantize(found.float().numpy(), typed))
    finally:
        writer.close()


def _kind(name: str, shape: tuple[int, ...], kind: str) -> str:
    """Return the type of numbers of one weight in a file of a `kind`."""
    if len(shape) == 1 or _WHOLE.search(name) or not name.endswith(".weight"):
        return "f32"
    if kind.startswith("q") and shape[-1] % _SMALL:
        return "f16"
    return "q8_0" if kind[:2] in {"q4", "q5"} and name in _ENDS else kind


def _shape(at: Weight, known: architectures.Architecture, config: Any) -> tuple[int, ...]:
    """Return the shape of a weight as it is written, without reading it."""
    path, called = at
    with safe_open(path, "pt") as stored:
        shape = tuple(stored.get_slice(called).get_shape())
    return tuple(known.changed(called, torch.empty(shape, device="meta"), config).shape)


def _read(at: Weight, known: architectures.Architecture, config: Any) -> torch.Tensor:
    path, called = at
    with safe_open(path, "pt") as stored:
        return known.changed(called, stored.get_tensor(called), config).contiguous()
