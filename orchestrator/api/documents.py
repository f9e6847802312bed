"""The documents that commands print with `--json` and that calls are answered with.

What a room makes a document of itself stands there: a job, the ledger, a removal, a sweep, a
deployment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, Field

import worker.tasks
from orchestrator import samples
from orchestrator.deploy.documents import DeploymentPlan
from orchestrator.document import Document
from orchestrator.jobs.summary import JobSummary
from orchestrator.preflight.estimate import Estimate, Range
from orchestrator.verify import Gap
from worker.contract import DataRef, Event, ModelRef, Parallel
from worker.finding import Finding
from worker.rendered import Rendered

if TYPE_CHECKING:
    from orchestrator.preflight import CheckReport
    from orchestrator.sweep.begin import Preview
    from orchestrator.sweep.spec import SweepSpec


class Kind(Document):
    """One kind of training."""

    task: str
    """Its name: what stands behind `task:` in a file, and what `task` is in a call."""

    command: str
    """The command that trains it: `hubtrain COMMAND --train`."""

    settings: dict[str, Any]
    """The settings that go with its name."""

    help: str
    example: str | None
    """A line of its data; none where it needs none."""


class Checked(Document):
    """What the check of a job has found. Nothing was created or rented for it."""

    ok: bool
    """Whether the job may run as it stands."""

    seconds: float
    """Time the check took."""

    findings: list[Finding]
    owner: str | None = None
    """The account that pays and gets the model. This and all below: only where the job may run."""

    model: ModelRef | None = None
    data: dict[str, int | float | None] = Field(default_factory=dict)
    """`rows`, `valid_rows`, `steps`, and how much it is in the task's own unit, such as `tokens`.
    """

    flavor: str | None = None
    """The machine it would run on, in its provider's word."""

    usd_per_hour: float | None = None
    parallel: Parallel | None = None
    estimate: Estimate | None = None
    """Minutes and US dollars."""

    example: Rendered | None = None
    """The first example as the model gets it; what is learned of it is marked."""


class Given(Document):
    """A setting and where it was said."""

    value: Any
    from_: str = Field(alias="from")
    """`flags`, `arguments`, `environment`, the file's name, or `default`."""

    line: int | None = None
    """In which line of its file."""


class PlannedData(DataRef):
    """The data as they would be sent."""

    packed: bool
    """Whether they would be packed; else they are used where they are."""

    bytes: int | None
    """Their size once packed."""


class PlannedModel(Document):
    """Where the model would go."""

    repo_id: str | None
    private: bool | None
    folder: str | None
    """Folder of this machine."""


class Plan(Document):
    """What would be sent for a job (`--dry-run`). Nothing was created."""

    report: Checked
    settings: dict[str, Given]
    """Those that differ from their defaults, and those that matter most."""

    data: PlannedData
    files: DataRef | None
    """Files that go along."""

    model: PlannedModel
    runs: str | None
    """How it is spread over several processes; none for one."""

    plan: dict[str, Any]
    """What the provider would be sent, in its own words."""

    deployment: DeploymentPlan | None = None
    """With `--deploy`: the deployment that is to follow."""


class Comparison(Document):
    """One measurement of two trainings, beside each other."""

    same: bool
    tolerance: float
    measurements: list[Gap]
    unlike: list[str]
    """What was not the same about the two, a sentence each."""


class Trained(JobSummary):
    """A job as it was launched, or as it ended, and what followed it."""

    deployment: dict[str, Any] | None = None
    """With `--deploy`: the deployment, or why there is none."""

    verify: Comparison | None = None
    """With `--verify`: how its curves compare with those of the original."""


class NotRemoved(Document):
    """A job that could not be deleted."""

    job: str
    problem: str


class OutputLine(Document):
    """A line that a job, or a deployment, has printed."""

    line: str


class StoredData(Document):
    """A private dataset of packed data."""

    repo_id: str
    bytes: int
    used_by: list[str]
    """Jobs that have not ended and read it."""

    removed: bool


class KeptImage(Document):
    """An image that jobs ran in, which stays for the next of their kind."""

    backend: str
    image: str
    bytes: int | None
    used_by: list[str]
    removed: bool


class Leftovers(Document):
    """What lived on after its job, and what became of it."""

    stopped: list[str]
    """Handles of what was stopped just now."""

    left: list[str]
    """Handles of what still lives without a job."""

    secrets_taken_back: list[str]
    running: list[str]
    """Handles of what runs as it should."""

    deployed: list[str]
    unanswered: list[str]
    """What could not be asked, and why."""

    removed: list[str]
    """Jobs whose `rm` was cut short, and that are removed now."""

    data: list[StoredData] | None = None
    """With `--data`."""

    images: list[KeptImage] | None = None
    """With `--images`."""


class Begun(Document):
    """The files that `init` has written."""

    folder: str
    job: str
    """The job's file."""

    files: list[str]


class Configured(Document):
    """The settings of a job. Nothing was checked."""

    task: str
    settings: dict[str, Given]
    token: str
    """Where the Hub token comes from, and never the token."""

    notes: list[str]
    """What was said and does nothing, a sentence each."""

    wrong: list[str]
    """What is wrong, a sentence each."""


class Uploaded(Document):
    """The data of a job, as they lie on the Hub."""

    repo_id: str
    revision: str | None
    url: str
    rows: int
    valid_rows: int
    bytes: int | None
    """Their size; none where they are used where they were."""


class SweepPlanTrial(Document):
    """One trial as it would begin."""

    trial: int
    settings: dict[str, Any]
    report: Checked


class SweepPlan(Document):
    """What a sweep would take (`--dry-run`). Nothing was created."""

    sweep: str
    total: int
    metric: str
    usd: Range
    minutes: Range
    trials: list[SweepPlanTrial]

    @classmethod
    def of(
        cls,
        spec: SweepSpec,
        found: Preview,
        told: Callable[[CheckReport], CheckReport] = lambda report: report,
    ) -> SweepPlan:
        """Return the plan of a sweep; `told` puts what a check found in the reader's words."""
        return cls(
            sweep=spec.name,
            total=found.total,
            metric=spec.measure.name,
            usd=found.sum(lambda report: report.estimate.usd),
            minutes=found.sum(lambda report: report.estimate.minutes),
            trials=[
                SweepPlanTrial(
                    trial=trial.number,
                    settings=dict(trial.settings),
                    report=Checked.model_validate(told(one.report).to_json()),
                )
                for trial, one in found.trials
            ],
        )


class Answer(Document):
    """What a model answered, and what was asked: the settings of the question by their names."""

    model_config = ConfigDict(extra="allow")

    model: str
    answer: Any
    end: str | None = None
    """Why it ended there: `stop`, `length` where it was cut, `interrupted`."""


class Answers(Document):
    """Where the answers to a file are."""

    model: str
    output: str
    rows: int
    unanswered: int = 0


class Handed(Document):
    """A folder that runs a job elsewhere."""

    folder: str
    next: str
    """What to type in it."""


AnyLine = OutputLine | Event
"""A line of a job's output: something it printed, or an event: what it measured, saved, pushed."""


def kind(one: samples.Kind) -> Kind:
    """Return a kind of training as a document."""
    return Kind(
        task=one.name,
        command=worker.tasks.typed(one.task.name),
        settings=dict(one.given),
        help=one.task.help,
        example=one.sample.row if one.sample else None,
    )
