"""The words the laptop and the rented machine exchange: a `JobSpec` out, `Event`s back.

Standard library and pydantic only. Nothing here knows how a job is launched or trained, and no
field can hold a secret: tokens travel as an argument of `Backend.launch` and nowhere else.

State is never stored. It is what `fold` makes of the events, on the laptop, on the page and in
the worker alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

SCHEMA_VERSION = 1
MARK = "@hubtrain "
"""What a line of a worker's standard output begins with when the rest of it is an event."""

MARK_VARIABLE = "HUBTRAIN_EVENT_MARK"
"""Environment of the trainer: its own mark, made new for each run."""

SAVED = "saved"
"""The phase of a trainer whose model is complete: it only has to exit."""

JOB_FILE = "job.json"
"""The spec's file name beside the worker, on every backend."""

EVENTS_FILE = "events.jsonl"
"""The job's events, one a line, where the model is and where the job ran."""

LOG_TAIL_FILE = "log.txt"
"""The last lines of a job that left no model, beside its events."""


class State(StrEnum):
    """Where a job is. The last four are final."""

    CREATED = "created"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def final(self) -> bool:
        return self in {State.SUCCEEDED, State.FAILED, State.CANCELLED, State.LOST}


class EndReason(StrEnum):
    """Why a job ended, in the same words for every backend."""

    OK = "ok"
    OOM = "oom"
    BAD_DATA = "bad_data"
    BAD_CONFIG = "bad_config"
    GATED_MODEL = "gated_model"
    TOKEN_NO_WRITE = "token_no_write"
    PUSH_FAILED = "push_failed"
    BUILD_ERROR = "build_error"
    DEADLINE = "deadline"
    COST_CAP = "cost_cap"
    PREEMPTED = "preempted"
    HUNG = "hung"
    USER = "user"
    WORKER_DIED = "worker_died"
    PROVIDER = "provider"
    NO_ACCELERATOR = "no_accelerator"

    @property
    def exit_code(self) -> int:
        """The worker's exit code: 0 for ok, 1 where nothing better is known, else 10 upwards."""
        return _EXIT_CODES[self]


_EXIT_CODES = {
    EndReason.OK: 0,
    EndReason.WORKER_DIED: 1,
    EndReason.OOM: 10,
    EndReason.BAD_DATA: 11,
    EndReason.BAD_CONFIG: 12,
    EndReason.GATED_MODEL: 13,
    EndReason.TOKEN_NO_WRITE: 14,
    EndReason.PUSH_FAILED: 15,
    EndReason.BUILD_ERROR: 16,
    EndReason.DEADLINE: 17,
    EndReason.COST_CAP: 18,
    EndReason.PREEMPTED: 19,
    EndReason.HUNG: 20,
    EndReason.USER: 21,
    EndReason.PROVIDER: 23,
    EndReason.NO_ACCELERATOR: 24,
}
"""Scripts read these numbers: a new reason gets a new one, and none is ever given again."""


class _Frozen(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True
    )


class DataRef(_Frozen):
    """The examples, pinned: a dataset repo at a commit, or a folder of this machine."""

    repo_id: str | None = None
    """Dataset repo, `owner/name`; none when the data lies in `folder`."""

    revision: str | None = None
    """Commit of `repo_id`."""

    folder: str | None = None
    """Absolute path on the machine that trains, for jobs that need no Hub."""

    train: tuple[str, ...] = ()
    """Files of the training split, relative to the repo or folder."""

    valid: tuple[str, ...] = ()
    """Files of the validation split; empty when there is none."""

    config: str | None = None
    """Name of the dataset's configuration, for repos that have several."""

    rows: int | None = None
    """Training rows, where they have been counted."""


class ModelRef(_Frozen):
    """The model a job starts from, pinned."""

    name: str
    """Hub id, or an absolute path on the machine that trains."""

    revision: str | None = None
    """Commit on the Hub; none for a folder."""


class PushTarget(_Frozen):
    """Where the trained model goes."""

    repo_id: str
    private: bool = True
    overwrite: bool = False
    """Whether a repo that already holds a model may be written over."""


class Machine(_Frozen):
    """The rented hardware, as priced when the job was made."""

    backend: str
    """Backend by name, as in `local` or `spaces`."""

    flavor: str | None = None
    """The provider's own name of the hardware; none where there is no choice."""

    accelerators: int = 0
    """GPUs that are paid for, and so have to be there before anything is trained."""

    usd_per_hour: float = 0.0

    @property
    def words(self) -> tuple[str, ...]:
        """Backend and flavor, without one that says nothing: `local` has no choice of machines."""
        return tuple(dict.fromkeys(filter(None, (self.backend, self.flavor))))


class Limits(_Frozen):
    """What ends a job that would go on."""

    max_seconds: float | None = None
    """Longest time from the worker's start, in seconds; a push may take ten minutes more."""

    max_usd: float | None = None
    """Most money, at `Machine.usd_per_hour`."""

    hang_seconds: float = 1800.0
    """Longest silence of the trainer before it counts as hung, in seconds."""

    push_seconds: float = 600.0
    """Longest time the worker goes on trying to push a trained model, in seconds."""

    def seconds(self, usd_per_hour: float) -> float:
        """Return how long a job may run, by time and by money, in seconds; infinite if it may."""
        ends = [math.inf] if self.max_seconds is None else [self.max_seconds]
        if self.max_usd is not None and usd_per_hour > 0:
            ends.append(self.max_usd / usd_per_hour * 3600)
        return min(ends)


class JobSpec(_Frozen):
    """Everything the worker needs to know, and no secret."""

    schema_version: Literal[1] = 1
    job_id: str
    project: str
    owner: str | None = None
    """Account that made the job, who may stop it; none for a job without a Hub."""

    task: str
    params: dict[str, Any]
    """Settings of the task, as its params class validates them."""

    extras: tuple[str, ...] = ()
    """Extras of the package that the task needs (`Task.requirements`); none: one of its name."""

    model: ModelRef
    data: DataRef
    push: PushTarget | None = None
    output: str | None = None
    """Folder on the machine that trains where the model stays; none when it is only pushed."""

    overwrite_output: bool = False
    """Whether the model may take the place of what `output` already holds."""

    machine: Machine
    limits: Limits = Limits()
    attempt: int = 1

    @property
    def branch(self) -> str:
        """Branch of the model repo for what the job leaves there beside its model."""
        return f"hubtrain-{self.job_id}"


class _Event(_Frozen):
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    """When, in UTC, on the machine that says it."""

    seq: int = 0
    """Place in its source's stream, from 1; 0 until the source has numbered it."""

    source: Literal["laptop", "worker"] = "worker"
    attempt: int = 1


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
    hardware: dict[str, Any] = {}
    versions: dict[str, str] = {}
    page: str | None = None
    """Address of the page where only the worker knows it, without the key that opens it."""


class Phase(_Event):
    """What the worker is busy with when it is not yet, or no longer, stepping."""

    kind: Literal["phase"] = "phase"
    name: str
    """A few words for people: `loading model`, `packing`, `pushing`."""

    done: float | None = None
    """Share done, 0 to 1, where it is known."""


class Progress(_Event):
    """How far training is."""

    kind: Literal["progress"] = "progress"
    step: int
    """Optimizer steps done."""

    total_steps: int
    epoch: float = 0.0
    tokens: int = 0
    """Training tokens seen so far."""

    tokens_per_second: float | None = None
    eta_seconds: float | None = None


class Metric(_Event):
    """Measured values at a step: `loss`, `lr`, `grad_norm`, `valid_loss`, …"""

    kind: Literal["metric"] = "metric"
    step: int
    values: Values


class Checkpoint(_Event):
    """A state from which training can go on."""

    kind: Literal["checkpoint"] = "checkpoint"
    step: int
    where: str
    """Path on the machine, or `repo@commit` once it is on the Hub."""


class Pushed(_Event):
    """The model is on the Hub."""

    kind: Literal["pushed"] = "pushed"
    repo_id: str
    commit: str = ""
    """Commit of the push; empty in the events that are part of it."""

    url: str
    what: Literal["adapter", "model"] = "model"
    size_bytes: int = 0


class Finished(_Event):
    """The job did what it was asked."""

    kind: Literal["finished"] = "finished"
    metrics: Values = {}
    output: str | None = None
    """Folder of the model on the machine that trained, for jobs that keep it there."""


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
    """Somebody wishes the job to end. Whether it does is for others to tell."""

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


class Story(BaseModel):
    """What a job's events add up to."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    state: State = State.CREATED
    reason: EndReason | None = None
    message: str = ""
    detail: str = ""
    phase: str = ""
    handle: str | None = None
    url: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    heard_at: datetime | None = None
    """When the worker said something last."""

    progress: Progress | None = None
    history: list[Metric] = []
    last_checkpoint: Checkpoint | None = None
    pushed: Pushed | None = None
    output: str | None = None
    machine: Observed | None = None
    cancel_asked_at: datetime | None = None
    """When its user wished it to end, whatever came of that."""

    @property
    def metrics(self) -> dict[str, float]:
        """The newest value of everything that was measured."""
        return {name: v for metric in self.history for name, v in metric.values.items()}

    @property
    def costing(self) -> bool | None:
        """Whether the provider still bills; none if it has not been asked."""
        return self.machine.costing if self.machine else None

    def seconds(self, now: datetime) -> float:
        """Return how long the worker has run, or ran, in seconds."""
        if self.started_at is None:
            return 0.0
        return max(0.0, ((self.ended_at or now) - self.started_at).total_seconds())

    def cost(self, usd_per_hour: float, now: datetime) -> float:
        """Return what that time costs, in US dollars; the provider rounds to the minute."""
        return self.seconds(now) / 3600 * usd_per_hour


def fold(events: Iterable[Event]) -> Story:
    """Return what `events` add up to. The worker's own ending outranks what a provider says.

    A job is lost only as long as nobody tells its end. It counts as over when its worker said
    something last, since the provider may have been asked days later.
    """
    story = Story()
    for event in events:
        _apply(story, event)
        if event.source == "worker":
            story.heard_at = event.at
    if story.machine and not story.machine.alive and not story.state.final:
        story.state, story.reason = State.LOST, EndReason.WORKER_DIED
        story.message = f"The machine stopped ({story.machine.stage}) without a last word."
        story.detail, story.ended_at = story.machine.detail, story.heard_at or story.machine.at
        if story.cancel_asked_at:
            story.state, story.reason, story.message = State.CANCELLED, EndReason.USER, ""
    return story


def _apply(story: Story, event: Event) -> None:  # noqa: C901 (one arm an event)
    match event:
        case Created():
            story.created_at = event.at
        case Launched():
            # Two launchers may tell, the second one late.
            story.state = State.QUEUED if story.state is State.CREATED else story.state
            story.handle = event.handle
            story.url = event.url or story.url
        case Started():
            if not story.state.final:
                story.state = State.RUNNING
            story.started_at = story.started_at or event.at
            story.url = story.url or event.page
        case Phase():
            story.phase = event.name
        case Progress():
            story.progress, story.phase = event, ""
        case Metric():
            story.history.append(event)
        case Checkpoint():
            story.last_checkpoint = event
        case Pushed():
            story.pushed = event
        case CancelAsked():
            story.cancel_asked_at = story.cancel_asked_at or event.at
        case Observed():
            story.machine, story.url = event, event.url or story.url
        case Finished() | Failed() | Stopped():
            _end(story, event)


def _end(story: Story, event: Finished | Failed | Stopped) -> None:
    done = isinstance(event, Finished) and story.state is not State.SUCCEEDED
    if story.state.final and not done:  # the first ending stands: later ones are echoes of it
        return
    story.ended_at = event.at
    match event:
        case Finished():  # also after a wish to stop that came too late
            story.state, story.reason, story.output = State.SUCCEEDED, EndReason.OK, event.output
            story.message = story.detail = ""
        case Failed():
            story.state, story.reason = State.FAILED, event.reason
            story.message, story.detail = event.message, event.detail
        case Stopped():
            # A worker whose machine is stopped from outside cannot tell who wished it.
            wished = story.cancel_asked_at and event.reason is EndReason.PREEMPTED
            reason = EndReason.USER if wished else event.reason
            user = reason is EndReason.USER
            story.state = State.CANCELLED if user else State.FAILED
            story.reason, story.message = reason, "" if wished else event.message
