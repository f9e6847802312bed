"""What comes back: `Event`s, one a line of JSON, in a file or between whatever a process prints."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from worker.contract.frozen import Frozen, without
from worker.contract.reason import EndReason

MARK = "@hubtrain "
"""What a line of a worker's standard output begins with when the rest of it is an event."""

MARK_VARIABLE = "HUBTRAIN_EVENT_MARK"
"""Environment of the trainer: its own mark, made new for each run."""

SAVED = "saved"
"""The phase of a trainer whose model is complete: it only has to exit."""

REPLACED = "moving to another machine"
"""The phase of a job whose machine is taken away and that its provider starts again."""

EVENTS_FILE = "events.jsonl"
"""The job's events, one a line, where the model is and where the job ran."""

LOG_TAIL_FILE = "log.txt"
"""The last lines of a job that left no model, beside its events."""


_AT_COMMIT = re.compile(r"([\w.-]+/[\w.-]+)@([0-9a-f]{6,40})")


class _Event(Frozen):
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    """When, in UTC, on the machine that says it."""

    seq: int = 0
    """Place in its source's stream, from 1; 0 until the source has numbered it."""

    source: Literal["laptop", "worker"] = "worker"

    _before = model_validator(mode="before")(without("attempt"))


def _finite(values: Any) -> Any:
    """Leave out what is no finite number: a loss that diverged, and the null JSON makes of it."""
    if not isinstance(values, Mapping):
        return values
    return {
        name: value
        for name, value in values.items()
        if value is not None and not (isinstance(value, float) and not math.isfinite(value))
    }


Values = Annotated[
    dict[
        Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./:@+-]*$", max_length=80)],
        Annotated[float, Field(allow_inf_nan=False)],
    ],
    BeforeValidator(_finite),
]
"""What was measured, by name. It ends up in cards and pages: names are plain, values are numbers.
One that is no number is left out, and the others are kept."""


class Created(_Event):
    """The job is on record; nothing has been asked of any provider."""

    kind: Literal["created"] = "created"
    job_id: str


class Launched(_Event):
    """The provider has the job."""

    kind: Literal["launched"] = "launched"
    handle: str
    url: str | None = None
    """The page of the running job."""


class Started(_Event):
    """The worker runs; `hardware` and `versions` are as found on the machine."""

    kind: Literal["started"] = "started"
    job_id: str
    hardware: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    page: str | None = None
    """Address of the page where only the worker knows it, without the key that opens it."""


class Phase(_Event):
    """What the worker is busy with when it is not yet, or no longer, stepping."""

    kind: Literal["phase"] = "phase"
    name: str
    """A few words for people: `loading model`, `packing`, `pushing`."""

    _before_phase = model_validator(mode="before")(without("done"))


class Chosen(_Event):
    """What the worker chose for this machine, by the names of settings where there is one."""

    kind: Literal["chosen"] = "chosen"
    settings: dict[Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,79}$")], bool | int]
    """`batch_size`, `gradient_accumulation`, `recomputed_activations`."""


_COUNTED = {"tokens": "units", "tokens_per_second": "units_per_second"}
"""Fields of `Progress` by their earlier names."""


class Progress(_Event):
    """How far training is."""

    kind: Literal["progress"] = "progress"
    step: int
    """Optimizer steps done."""

    total_steps: int
    epoch: float = 0.0
    units: int = 0
    """Tokens, rows or images seen so far, each as often as it was seen."""

    unit: str = Field(default="rows", pattern=r"^[a-z]{1,20}$")
    """What is counted, in the plural."""

    units_per_second: float | None = None
    eta_seconds: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _tokens_are_units(cls, values: Any) -> Any:
        """Read what earlier versions counted, which was always tokens."""
        if not isinstance(values, dict) or values.keys().isdisjoint(_COUNTED):
            return values
        return {_COUNTED.get(name, name): value for name, value in values.items()} | {
            "unit": "tokens"
        }

    @property
    def speed(self) -> str:
        """How fast training is, in words: `2,410 tokens/s`; empty where that is not known."""
        if not self.units_per_second:
            return ""
        digits = 0 if self.units_per_second >= 10 else 1  # noqa: PLR2004
        return f"{self.units_per_second:,.{digits}f} {self.unit}/s"


VALID = "valid_"
"""What the names of measurements of a validation split begin with."""


EVALUATED = "lm_eval/"
"""What the names of measurements of an evaluation with lm-eval begin with."""


class Metric(_Event):
    """Measured values at a step: `loss`, `lr`, `valid_loss`, `valid_accuracy`, …"""

    kind: Literal["metric"] = "metric"
    step: int
    values: Values


class Checkpoint(_Event):
    """A state from which training can go on."""

    kind: Literal["checkpoint"] = "checkpoint"
    step: int
    where: str
    """Path on the machine, or `repo@commit` once it is on the Hub."""

    @property
    def on_hub(self) -> tuple[str, str] | None:
        """The repo and the commit; none while it is only on the machine."""
        found = _AT_COMMIT.fullmatch(self.where)
        return (found[1], found[2]) if found else None


class Pushed(_Event):
    """The model, or what else the job made, is on the Hub."""

    kind: Literal["pushed"] = "pushed"
    repo_id: str
    commit: str = ""
    """Commit of the push; empty in the events that are part of it."""

    url: str
    what: Literal["adapter", "model", "output"] = "model"
    size_bytes: int = 0


class Finished(_Event):
    """The job did what it was asked."""

    kind: Literal["finished"] = "finished"
    metrics: Values = Field(default_factory=dict)
    output: str | None = None
    """Folder of the model on the machine that trained, for jobs that keep it there."""

    note: str = ""
    """What went wrong beside it, for the user: an evaluation."""


class Failed(_Event):
    """The job ended without its result."""

    kind: Literal["failed"] = "failed"
    reason: EndReason
    message: str
    """What happened, for the user: a sentence or two."""

    detail: str = ""
    """The last words of the trainer or the provider."""


class Stopped(_Event):
    """The job was ended on purpose: by its user, a deadline or a money cap."""

    kind: Literal["stopped"] = "stopped"
    reason: EndReason
    message: str = ""


class CancelAsked(_Event):
    """A user asked for the job to be cancelled. That it has ended is told by another event."""

    kind: Literal["cancel_asked"] = "cancel_asked"


class Observed(_Event):
    """What the provider says of the machine; `costing` is what billing hangs on."""

    kind: Literal["observed"] = "observed"
    stage: str
    """The provider's own word."""

    alive: bool
    """Whether the worker can still be running."""

    costing: bool
    detail: str = ""
    url: str | None = None
    """The job's page, where the provider knows it."""

    reason: EndReason | None = None
    """Why the machine is not alive, where the provider says."""


Event = Annotated[
    Created
    | Launched
    | Started
    | Phase
    | Chosen
    | Progress
    | Metric
    | Checkpoint
    | Pushed
    | Finished
    | Failed
    | Stopped
    | CancelAsked
    | Observed,
    Field(discriminator="kind"),
]

_EVENT: TypeAdapter[Event] = TypeAdapter(Event, config=ConfigDict(defer_build=True))
ENDINGS = (Finished, Failed, Stopped)


def to_line(event: Event) -> str:
    """Return the event as one line of JSON, without the mark and without a newline."""
    return event.model_dump_json(exclude_none=True)


def from_line(line: str) -> Event | None:
    """Return the event in a line of JSON, marked or bare; none if the line is not one.

    For files that hold nothing but events. What a process prints is read by `from_marked`.
    """
    text = line.strip().removeprefix(MARK)
    if not text.startswith("{"):
        return None
    try:
        return _EVENT.validate_json(text)
    except ValidationError:
        return None


def marked(event: Event, mark: str = MARK) -> str:
    """Return the event as a line of standard output."""
    return mark + to_line(event)


def from_marked(line: str, mark: str = MARK) -> Event | None:
    """Return the event in a line of standard output; none if the line is ordinary output."""
    return from_line(line.removeprefix(mark)) if line.startswith(mark) else None
