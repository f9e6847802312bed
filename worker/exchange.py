"""What a task is given and what it answers, as values: see `worker.task`."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from worker.answers import Kind
from worker.bars import Bars
from worker.contract import DataRef, Event, ModelRef
from worker.finding import Finding
from worker.params import Params
from worker.rendered import Rendered


@dataclass(frozen=True, slots=True)
class Measure:
    """A measurement that tells how good a model is."""

    name: str
    """As `Metric` events call it; those of a validation split begin with `valid_`."""

    better: Literal["lower", "higher"] = "lower"


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a task on this machine."""

    model: ModelRef | None
    """None for a task that starts from no model."""

    data: DataRef
    output: Path
    """Empty folder that holds the finished model when `train` returns."""

    work: Path
    """Folder for caches and checkpoints; nothing of it is pushed."""

    emit: Callable[[Event], None]
    last_checkpoint: Path | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    """Once set, `train` writes a checkpoint after the step it is in and returns."""

    headline: Measure = Measure("valid_loss")
    """The first of the task's `measures`, by which the best of its models is told."""

    unit: str = "rows"
    """What progress counts, plural: the task's `unit`."""

    project: str = ""
    """What the job is called by its user: a tracker's project."""

    job_id: str = ""
    """The job's own name: that of a tracker's run."""

    files: DataRef | None = None
    """What `Task.files` named, as `worker.reading.local_files` takes it; none if it named none."""

    @property
    def base(self) -> ModelRef:
        """The model to start from; raises `ValueError` where there is none."""
        if self.model is None:
            raise ValueError("this job starts from no model")
        return self.model


@dataclass(frozen=True, slots=True)
class DataReport:
    """What a task makes of the examples before anything is rented."""

    findings: tuple[Finding, ...] = ()
    rows: int = 0
    """Usable rows of the training split."""

    valid_rows: int = 0
    units: int = 0
    """Units of progress (`Task.unit`) in one epoch of training, estimated where not all rows were
    read."""

    largest: int = 0
    """Units of the largest example of training; 0 where not all rows were read, or rows are
    filled with examples."""

    tokens: int = 0
    """Tokens of one epoch of training, as the model is given them, where rows are texts and tokens
    are not the unit of progress; estimated where not all rows were read."""

    longest: int = 0
    """The tokens of the longest of these rows; 0 where not all rows were read."""

    steps: int = 0
    """Optimizer steps of the whole training."""

    example: Rendered | None = None
    """One example as the model gets it, what is learned of it marked."""

    classes: int = 0
    """Classes that are told apart, by tasks that do so."""

    bars: tuple[Bars, ...] = ()
    """How many examples there are of each class, how long they are: what a surface may draw."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Memory that training takes on one device, in bytes: low, expected, high."""

    low: float
    expected: float
    high: float
    explained: str = ""
    """What it rests on, in a few words: `LoRA r16, bf16, no checkpointing`."""

    sharded: float = 0.0
    """Bytes of it that several processes can divide among them (FSDP2); 0 where none can."""

    gathered: float = 0.0
    """Bytes of what is divided that each holds whole for a moment: the layer that computes."""

    together: float = 0.0
    """Bytes of main memory that the first of them takes to save what is divided."""

    def divided(self, processes: int) -> Footprint:
        """Return what each of so many processes takes that divide the model among them."""
        less = self.sharded * (1 - 1 / processes) - self.gathered
        low, expected, high = (size - less for size in (self.low, self.expected, self.high))
        return replace(self, low=low, expected=expected, high=high)


@dataclass(frozen=True, slots=True)
class Region:
    """A part of an image that an example says something about, in pixels from the upper left."""

    x: float
    y: float
    width: float
    height: float
    name: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """What is done with models beside training: `hubtrain tools NAME`."""

    name: str
    """As it is typed, with dashes."""

    help: str
    settings: type[Params]
    """Its flags."""

    work: Callable[[Any], Mapping[str, Any]]
    """Does it, in a process of its own where heavy libraries may be imported, and returns what came
    of it as plain data. May raise `HubtrainError`."""


Answering = Callable[[Sequence[Any]], Iterable[Any]]
"""A loaded model, called with questions. Yields an answer to each, in their order: plain data as
`Page.answers_as` says, or the `HubtrainError` that says why this one cannot be answered."""


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that a model is asked with: on its page, or by each row of a file."""

    name: str
    """Setting of the task's `question`. An `image` is the path of a file, a `row` JSON."""

    label: str
    kind: Literal["text", "long text", "image", "row", "number"] = "text"
    column: str = ""
    """Setting of the training that names its column, where that is not `NAME_column`."""

    columns: tuple[str, ...] = ()
    """Of a `row`: what the model wants to know of it."""


@dataclass(frozen=True, slots=True)
class Page:
    """How a model is asked, by visitors of its page and row by row of a file."""

    does: str
    """What the model does, in the Hub's words: `text-generation`."""

    fields: tuple[Field, ...] = ()
    """What a question is made of; none of them: the page is a chat. Answers of places in a text or
    on an image mean the first."""

    answers_as: Kind = "data"
    """What an answer is: `worker.answers` has the shapes."""

    @property
    def is_chat(self) -> bool:
        """Whether visitors talk with the model, instead of asking single questions."""
        return not self.fields


@dataclass(frozen=True, slots=True)
class Sample:
    """A tiny job that runs as it stands, as `hubtrain init` writes it."""

    row: str
    """One example as it stands in the data, in a line: JSON, or the path of a picture."""

    files: Mapping[str, str | bytes]
    """What goes into the folder, by path."""

    settings: Mapping[str, Any]
    """The settings that the job says, `data_path` among them."""

    @classmethod
    def of_rows(cls, file: str, rows: Sequence[Mapping[str, Any]], **settings: Any) -> Sample:
        """Return a sample of rows in one `file`, CSV or JSON lines by its suffix."""
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        content = _csv(rows) if file.endswith(".csv") else "\n".join([*lines, ""])
        return cls(lines[0], {file: content}, {"data_path": file, **settings})


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
