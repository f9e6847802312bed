"""The families of models that `families` compares: each with its data, and its training by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Shape = Mapping[str, Any]
"""Settings of a model's configuration."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large a model is, and how much it is to learn."""

    shape: Shape
    rows: int
    batch: int


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a trainer of transformers."""

    model: Path
    data: Path
    arguments: Mapping[str, Any]
    """Of its training arguments: those that all families have in common."""

    workers: int
    """Processes that open pictures, or make batches."""

    as_autotrain: bool
    """Whether it is to train as AutoTrain's defaults had it, or as well as it can."""

    shape: Shape


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of model, and what it takes to train one."""

    task: str
    """Name of hubtrain's task."""

    write_model: Callable[[Path, Shape], None]
    """Writes a model of random weights, and its tokenizer or processor."""

    write_data: Callable[[Path, int], Path]
    """Writes so many rows into a folder, the same each time; returns the file."""

    trainer: Callable[[Asked], Any]
    """Returns a trainer of transformers, or of the library that the family has."""

    small: Size
    """For one thread of a CPU."""

    large: Size
    """For a GPU: what people use."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of hubtrain's task."""

    variant: str = ""
    """What tells it from another family of the same task."""

    @property
    def name(self) -> str:
        """What it is asked for by."""
        return f"{self.task}_{self.variant}" if self.variant else self.task
