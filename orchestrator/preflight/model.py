"""The base model, without loading it: pinned commit, size, precision, licence, tokenizer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from orchestrator.preflight.modelconfig import agrees, checked
from orchestrator.preflight.report import Findings
from orchestrator.preflight.weights import Weights
from worker.contract import ModelRef
from worker.errors import BadConfig
from worker.facts import NO_MODEL, ModelFacts
from worker.jsonfile import object_in
from worker.paths import base_of_adapter

WIDTH = {"F64": 8, "F32": 4, "BF16": 2, "F16": 2, "I64": 8, "I32": 4, "I16": 2}
"""Bytes of a parameter, by the name safetensors gives its type; all others take one."""

SHOWN = {"F32": "fp32", "F16": "fp16"}
"""Types as people say them, where that is not the name in small letters."""

SMALL_FILES = ("config.json", "adapter_config.json")
"""What is read of every model, beside `Task.model_reads`; never its weights."""

TOKENIZER = "tokenizer.json"

_AS_TOKENIZER = r"(tokeniz|vocab|merges|spiece|sentencepiece).*|.*\.(model|spm|bpe|tiktoken)"
_AS_PROCESSOR = r"(pre)?processor_config\.json"
_PARTS = (
    (TOKENIZER, _AS_TOKENIZER, "tokenizer", "read texts"),
    ("preprocessor_config.json", _AS_PROCESSOR, "image processor", "see images"),
)
"""Of parts that a model may have to have: the file that is read of it, what all files are called
that it may consist of, what it is called, and what cannot be done without."""


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model as it lies in a repo or a folder."""

    ref: ModelRef
    weights: Weights
    """What they say of themselves."""

    stored_bytes: float
    """Size of the weights."""

    files: Mapping[str, Path] = field(default_factory=dict)
    """Those of the small files that are there, on this disk."""

    names: frozenset[str] = frozenset()
    """Its files, those in folders left out."""

    about: tuple[str, ...] = ()
    """Licence and gate, as a report says them."""

    gated: bool = False

    @property
    def adapter_of(self) -> str | None:
        """The base model of a LoRA adapter, empty if it names none; none for a whole model.

        It ends with @ and a revision where the adapter names one.
        """
        if "config.json" in self.files or "adapter_config.json" not in self.files:
            return None
        base = base_of_adapter(self.read("adapter_config.json"))
        return "" if base is None else "@".join(filter(None, (base.name, base.revision)))

    def read(self, name: str) -> dict[str, Any]:
        """Return a JSON file of the model; empty if it is not there. Raises `BadConfig`."""
        if name not in self.files:
            return {}
        return object_in(self.files[name], f"{name} of {self.ref.name}")

    def text(self, name: str) -> str | None:
        """Return a text file of the model; none if it is not there. Raises `BadConfig`."""
        if name not in self.files:
            return None
        try:
            return self.files[name].read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise BadConfig(f"{name} of {self.ref.name} is not UTF-8: {error.reason}.") from error


@dataclass(frozen=True, slots=True)
class BaseModel:
    """What the rest of the check needs of the model."""

    ref: ModelRef | None
    facts: ModelFacts
    stored_bytes: float = 0.0
    tokenizer: Path | None = None
    """Its `tokenizer.json`."""

    tensors: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Their shapes by name, empty where only an index tells the name; none where no file does."""

    gated: bool = False


NONE_NEEDED = BaseModel(None, NO_MODEL)
"""For a task that starts from no model."""


def check_model(
    look: Callable[[], FoundModel],
    trainable: Callable[[ModelFacts], None],
    trust_remote_code: bool,
    reads: Sequence[str] = (),
) -> tuple[BaseModel | None, Findings]:
    """Return the model that `look` finds, and what there is to say about it.

    `trainable` raises `BadConfig` for a model that the task cannot train; `reads` are the small
    files it wants.
    """
    findings = Findings()
    found = findings.attempt("model", look)
    if found is None:
        return None, findings
    model = findings.attempt("model", lambda: _described(found, findings))
    if model is not None:
        findings.attempt("model", partial(trainable, model.facts))
        _check_code(found.ref.name, model.facts.config, trust_remote_code, findings)
        _check_parts(found, reads, findings)
    return model, findings


def facts_of(found: FoundModel) -> ModelFacts:
    """Return what a model is like. Raises `BadConfig` for one that cannot be loaded."""
    return _described(found, Findings()).facts


def _described(found: FoundModel, findings: Findings) -> BaseModel:
    config = _config(found)
    parameters, width = _size(found, config)
    facts = ModelFacts(
        name=found.ref.name,
        parameters=parameters,
        bytes_per_parameter=width,
        config=config,
        tokenizer_config=found.read("tokenizer_config.json"),
        chat_template=found.text("chat_template.jinja"),
        processor=_processor(found),
        adapter=found.read("adapter_config.json"),
        revision=found.ref.revision or "",
    )
    commit = f" @ {found.ref.revision[:7]}" if found.ref.revision else ""
    kinds = sorted(found.weights.parameters, key=lambda kind: -found.weights.parameters[kind])
    kind = SHOWN.get(kinds[0], kinds[0].lower()) if kinds else "precision unknown"
    size = f"{_people(parameters)} parameters, {kind}"
    findings.ok("model", " · ".join([f"{found.ref.name}{commit}", size, *found.about]))
    stored = found.stored_bytes or parameters * width
    tokenizer = found.files.get(TOKENIZER)
    tensors = found.weights.shapes
    return BaseModel(found.ref, facts, stored, tokenizer, tensors, found.gated)


def _processor(found: FoundModel) -> dict[str, Any]:
    """Return the files of a processor as one; newer ones have the part for pictures within."""
    whole = found.read("processor_config.json")
    pictures = whole.get("image_processor")
    within = pictures if isinstance(pictures, dict) else {}
    beside = ("preprocessor_config.json", "chat_template.json")
    return {k: v for name in beside for k, v in found.read(name).items()} | within | whole


def _config(found: FoundModel) -> dict[str, Any]:
    name = found.ref.name
    if "config.json" in found.files:
        config = found.read("config.json")
        checked(config, f"config.json of {name}")
        agrees(config, f"config.json of {name}", found.weights.shapes.values())
        return config
    if found.adapter_of is not None:
        base = found.adapter_of or "its base model"
        raise BadConfig(
            f"{name} is a LoRA adapter for {base}, not a model to start from.",
            fix=f"--model {base}, or merge the adapter first",
        )
    raise BadConfig(f"{name} has no config.json, so it is no model that transformers can load.")


def _size(found: FoundModel, config: Mapping[str, Any]) -> tuple[int, float]:
    """Return the number of parameters and the bytes of each, as stored."""
    total = sum(found.weights.parameters.values())
    if total:
        stored = sum(n * WIDTH.get(kind, 1) for kind, n in found.weights.parameters.items())
        return total, stored / total
    half = str(config.get("dtype") or config.get("torch_dtype")) in {"bfloat16", "float16"}
    width = 2.0 if half else 4.0
    if not found.stored_bytes:
        raise BadConfig(f"{found.ref.name} has no weights: no .safetensors and no .bin file.")
    return round(found.stored_bytes / width), width


def _check_code(name: str, config: Mapping[str, Any], trusted: bool, findings: Findings) -> None:
    """Find whether the model needs code of its own: not where transformers knows its type."""
    if trusted or "auto_map" not in config:
        return
    transformers = find_spec("transformers")
    places = transformers.submodule_search_locations if transformers else None
    if places and (Path(places[0]) / "models" / str(config.get("model_type"))).is_dir():
        return
    text = f"{name} brings Python code of its own, which runs on the machine that trains."
    fix = "--trust-remote-code, once you have read it"
    if places:
        findings.error("model", text, fix)
    else:  # nobody here can tell whether transformers knows this type by itself
        findings.warn("model", f"{text} It may be needed.", fix)


def _check_parts(found: FoundModel, reads: Sequence[str], findings: Findings) -> None:
    """Find whether the model has what it takes beside weights, going by its files' names."""
    if "modules.json" in found.names:  # of sentences: its parts may lie in folders
        return
    name = found.ref.name
    for file, called, part, does in _PARTS:
        if file not in reads:
            continue
        if not any(re.fullmatch(called, one) for one in found.names):
            text = f"{name} has no {part}, and cannot {does} without: no {file} is there."
            findings.error("model", text, "--model with one that has, or put its files there")
        elif file == TOKENIZER and file not in found.files:
            findings.warn("model", f"{name} has no {file}: tokens are estimated")


def _people(number: float) -> str:
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f}"
