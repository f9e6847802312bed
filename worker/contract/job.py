"""What goes out: a `JobSpec`, everything the worker needs to know, and no secret."""

from __future__ import annotations

import math
from pathlib import PurePath
from typing import Annotated, Any, Literal

from annotated_types import Ge
from pydantic import Field, model_validator

from worker.contract.frozen import Frozen, without

JOB_FILE = "job.json"
"""The spec's file name beside the worker, on every backend."""


class DataRef(Frozen):
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

    classes: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Column to the names of its classes, where the repo's card declares them."""

    rows: int | None = None
    """Training rows, where they have been counted."""

    _before = model_validator(mode="before")(without("config"))


class ModelRef(Frozen):
    """The model a job starts from, pinned."""

    name: str
    """Hub id, or an absolute path on the machine that trains."""

    revision: str | None = None
    """Commit on the Hub; none for a folder."""

    @classmethod
    def named(cls, name: str) -> ModelRef:
        """Return the model that people call so: a folder, an id, or an id with `@` and a revision.

        No id has an `@` in it.
        """
        bare, at, revision = name.rpartition("@")
        if not at or PurePath(name).is_absolute():
            return cls(name=name)
        return cls(name=bare, revision=revision)

    @property
    def asked(self) -> str:
        """What `named` reads as this model."""
        return f"{self.name}@{self.revision}" if self.revision else self.name

    @property
    def on_hub(self) -> bool:
        """Whether it is on the Hub, where others can have it too."""
        return self.revision is not None


class PushTarget(Frozen):
    """Where the trained model goes."""

    repo_id: str
    private: bool = True
    overwrite: bool = False
    """Whether a repo that already holds a model may be written over."""


class Machine(Frozen):
    """The rented hardware, as priced when the job was made."""

    backend: str
    """Backend by name, as in `local` or `spaces`."""

    flavor: str | None = None
    """The provider's own name of the hardware; none where there is no choice."""

    accelerators: int = 0
    """GPUs that are paid for, and so have to be there before anything is trained."""

    usd_per_hour: float = 0.0
    options: dict[str, Any] = Field(default_factory=dict)
    """Settings of the backend alone, as its options class validates them. No secret is one."""

    @property
    def words(self) -> tuple[str, ...]:
        """Backend and flavor, without one that says nothing: `local` has no choice of machines."""
        return tuple(dict.fromkeys(filter(None, (self.backend, self.flavor))))


class Parallel(Frozen):
    """How many processes train together, and what each of them holds."""

    processes: int = 1
    """One on each GPU; on a CPU they share its cores."""

    nodes: Annotated[int, Ge(1)] = 1
    """Machines they run on, as many on each."""

    strategy: Literal["ddp", "fsdp"] = "ddp"
    """`ddp`: each holds the whole model. `fsdp`: each holds its share of the weights, gradients and
    optimizer states (FSDP2)."""


ALONE = Parallel.model_construct()
"""One process. Not validated: at import that would build a schema in every command."""


class Limits(Frozen):
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


class Start(Frozen):
    """The checkpoint that a resumed job begins at: on the Hub at a commit, or in a folder."""

    jobs: tuple[str, ...]
    """The jobs whose training it continues, oldest first; the last of them left the checkpoint."""

    step: int
    """Optimizer steps that are done."""

    repo_id: str | None = None
    """Model repo that holds it; none when it lies in `folder`."""

    revision: str | None = None
    """Commit of `repo_id`."""

    folder: str | None = None
    """Absolute path on the machine that trains; the earlier job's events lie two folders above."""

    @property
    def where(self) -> str:
        """The place in a word, as `Checkpoint` events give it."""
        return f"{self.repo_id}@{self.revision}" if self.repo_id else str(self.folder)

    def lies_with(self, job_id: str) -> bool:
        """Whether it lies on the disk of this job, and goes when that is removed."""
        return self.folder is not None and job_id in PurePath(self.folder).parts


class Trial(Frozen):
    """Which trial of a sweep a job is."""

    sweep: str
    """The sweep's name."""

    number: int
    """From 0."""


def branch_of(job_id: str) -> str:
    """Return the branch of its model repo that is a job's own."""
    return f"hubtrain-{job_id}"


class JobSpec(Frozen):
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
    """Extras of the package that the task needs (`Task.extras`); none: one of its name."""

    model: ModelRef | None = None
    """None for a task that starts from no model."""

    data: DataRef
    files: DataRef | None = None
    """Files of the user's that go along (`Task.files`), as the training split of a reference of
    their own; none if none do."""

    push: PushTarget | None = None
    output: str | None = None
    """Folder on the machine that trains where the model stays; none when it is only pushed."""

    overwrite_output: bool = False
    """Whether the model may take the place of what `output` already holds."""

    machine: Machine
    parallel: Parallel = ALONE
    limits: Limits = Field(default_factory=Limits)
    start: Start | None = None
    """Where it goes on from; none for a job that begins at its first step."""

    trial: Trial | None = None
    """None for a job that is part of no sweep."""

    _before = model_validator(mode="before")(without("attempt"))

    @property
    def gpus_per_node(self) -> int:
        """GPUs that are paid for on each of its machines."""
        return self.machine.accelerators // self.parallel.nodes

    @property
    def branch(self) -> str:
        """Branch of the model repo for what the job leaves there beside its model."""
        return branch_of(self.job_id)
