"""A kind of training: its name, what users may set, what it needs, and the function that trains."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from worker.contract import DataRef, Event, ModelRef
from worker.params import Params

P = TypeVar("P", bound=Params)


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a task on this machine."""

    model: ModelRef
    data: DataRef
    output: Path
    """Empty folder that holds the finished model when `train` returns."""

    work: Path
    """Folder for caches and checkpoints; nothing of it is pushed."""

    emit: Callable[[Event], None]
    last_checkpoint: Path | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    """Once set, `train` writes a checkpoint after the step it is in and returns."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the preflight report."""

    level: str
    """`ok`, `warn` or `error`."""

    topic: str
    """What it is about: `data`, `model`, `memory`, …"""

    text: str
    fix: str = ""
    """What to type next, where there is something."""


@dataclass(frozen=True, slots=True)
class DataReport:
    """What a task makes of the examples before anything is rented."""

    findings: tuple[Finding, ...] = ()
    rows: int = 0
    """Usable rows of the training split."""

    valid_rows: int = 0
    tokens: int = 0
    """Training tokens of one epoch after cutting, estimated where not all rows were read."""

    steps: int = 0
    """Optimizer steps of the whole training."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What preflight knows of a model without loading it."""

    name: str
    parameters: int
    bytes_per_parameter: float = 2.0
    config: Mapping[str, Any] = field(default_factory=dict)
    """`config.json` of the model."""

    tokenizer_config: Mapping[str, Any] = field(default_factory=dict)
    chat_template: str | None = None


@dataclass(frozen=True, slots=True)
class Footprint:
    """Memory that training takes on one device, in bytes: low, expected, high."""

    low: float
    expected: float
    high: float
    explained: str = ""
    """What it rests on, in a few words: `LoRA r16, bf16, no checkpointing`."""


def nothing_shown(params: Any) -> dict[str, Any]:
    """Show only what is not as by default."""
    return {}


def suits_all(facts: ModelFacts) -> None:
    """Train any model."""


@dataclass(frozen=True, slots=True)
class Task(Generic[P]):
    """What the rest of hubtrain knows of a kind of training.

    `inspect` and `footprint` run on laptops without torch; `train` runs in the worker.
    """

    name: str
    help: str
    params: type[P]
    train: Callable[[P, Run], None]
    inspect: Callable[..., DataReport]
    """`inspect(params, splits, facts, tokenizer)`: see `worker.splits`, `tasks/llm/report.py`."""

    footprint: Callable[..., Footprint]
    """`footprint(params, facts, memory=None)`: on one device, which has `memory` bytes."""

    flops: Callable[[P, ModelFacts, int], float]
    """Floating point operations to train on so many tokens."""

    suits: Callable[[ModelFacts], None] = suits_all
    """`suits(facts)` raises `BadConfig` for a model that this task cannot train."""

    shown: Callable[[P], Mapping[str, Any]] = nothing_shown
    """`shown(params)`: the settings that a plan always shows, each as it will be used."""

    ignored: type[Params] = Params
    """Settings that AutoTrain had for this task and that mean nothing here: they are read, named in
    a note, and not used."""

    also_called: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Other names a file may give the task, with dashes, and the settings that go with each."""

    requirements: tuple[str, ...] = ()
    """Extras of the package that the worker image needs for this task."""

    pipeline_tag: str | None = None
    """What a trained model does, in the Hub's words."""

    auto_class: str = "AutoModel"
    """Class of transformers that loads one."""

    try_it: str = ""
    """Command that shows what a trained `{model}` does, for the end of a job."""
