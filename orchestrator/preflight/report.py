"""What preflight answers: findings for people, facts for the submit that follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from backends.base import Flavor
from orchestrator.data.sources import DataSource
from orchestrator.preflight.estimate import Estimate
from worker import disk
from worker.contract import ALONE, JobSpec, ModelRef, Parallel, PushTarget
from worker.errors import HubtrainError, HubUnreachable, NoWrite
from worker.shorten import some
from worker.task import DataReport, Finding

T = TypeVar("T")

_LONGEST = 400
"""Characters of a sentence about what differs: two values may be 100 each."""

TOPICS = ("account", "project", "settings", "files", "model", "data", "memory", "price", "backend")
"""The order in which findings are shown."""


@dataclass(frozen=True, slots=True)
class Held:
    """A place where the model is to go and something is already."""

    text: str
    job_id: str | None = None
    """The job that put it there, where that can be told."""

    spec: JobSpec | None = None
    """That job, where its manifest lies there and can be read."""

    unlike: tuple[str, ...] = ()
    """What makes it another job than the one that is asked for, where that is known."""

    @property
    def finding(self) -> Finding:
        """What is wrong with it, for a job that is not the one that put it there."""
        said = f" Job {self.job_id} made it: {_sentences(self.unlike)}." if self.unlike else ""
        text = f"{self.text}{said}"
        return Finding("error", "project", text, "--overwrite, or another --project-name")


def _sentences(texts: Iterable[str]) -> str:
    return some(texts, between="; ", longest=_LONGEST)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a job that passed is made of."""

    source: DataSource
    model: ModelRef | None
    """None for a task that starts from no model."""

    flavor: Flavor
    estimate: Estimate
    data: DataReport
    owner: str | None
    push: PushTarget | None
    parallel: Parallel = ALONE
    unit: str = "rows"
    """What the task counts its data in (`Task.unit`)."""

    pinned: Mapping[str, Any] = field(default_factory=dict)
    """Settings that name other models, each with the name and commit that the job will use."""

    parameters: float = 0.0
    """Size of the model; 0 where there is none."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """Everything that was found, in display order."""

    findings: tuple[Finding, ...]
    seconds: float
    """Time the check took."""

    facts: Facts | None = None
    """None when something is wrong."""

    held: tuple[Held, ...] = ()
    """Where something is already. That is wrong, unless this very job put it there."""

    data: DataReport | None = None
    """What the task made of the examples, whatever else is wrong; none where they could not be
    looked at."""

    @property
    def makers(self) -> set[str | None]:
        """Jobs that put there what is in the model's place; none for what cannot be told."""
        return {one.job_id for one in self.held}

    def refused(self) -> CheckReport:
        """Return the report of a job that must not write over what is there."""
        return replace(self.with_errors(one.finding for one in self.held), held=())

    def with_errors(self, errors: Iterable[Finding]) -> CheckReport:
        """Return the report of a job that is wrong in these ways too."""
        return replace(self, findings=in_order([*self.findings, *errors]), facts=None)

    @property
    def ok(self) -> bool:
        return self.facts is not None

    @property
    def known(self) -> Facts:
        """The facts of a job that passed; raises `ValueError` for one that did not."""
        if self.facts is None:
            raise ValueError("the check found errors, so there is nothing to go on with")
        return self.facts

    @property
    def source(self) -> DataSource:
        return self.known.source

    @property
    def model(self) -> ModelRef | None:
        return self.known.model

    @property
    def flavor(self) -> Flavor:
        return self.known.flavor

    @property
    def parallel(self) -> Parallel:
        return self.known.parallel

    @property
    def estimate(self) -> Estimate:
        return self.known.estimate

    @property
    def owner(self) -> str | None:
        return self.known.owner

    @property
    def push(self) -> PushTarget | None:
        return self.known.push

    def to_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        document: dict[str, Any] = {
            "ok": self.ok,
            "seconds": round(self.seconds, 3),
            "findings": [asdict(f) for f in self.findings],
        }
        if self.facts is not None:
            document |= {
                "owner": self.facts.owner,
                "model": self.facts.model.model_dump() if self.facts.model else None,
                "data": {
                    "rows": self.facts.data.rows,
                    "valid_rows": self.facts.data.valid_rows,
                    self.facts.unit: self.facts.data.units,
                    "steps": self.facts.data.steps,
                },
                "flavor": self.facts.flavor.name,
                "usd_per_hour": self.facts.flavor.usd_per_hour,
                "parallel": self.facts.parallel.model_dump(),
                "estimate": self.facts.estimate.to_json(),
            }
            if example := self.facts.data.example:
                document["example"] = asdict(example)
        return document


class Findings:
    """What one part of the check finds. Parts that run at the same time have one each."""

    def __init__(self) -> None:
        self._found: list[Finding] = []
        self._echoes: list[Finding] = []
        self.held: list[Held] = []

    def ok(self, topic: str, text: str) -> None:
        self._found.append(Finding("ok", topic, text))

    def warn(self, topic: str, text: str, fix: str = "") -> None:
        self._found.append(Finding("warn", topic, text, fix))

    def error(self, topic: str, text: str, fix: str = "") -> None:
        self._found.append(Finding("error", topic, text, fix))

    def add(self, findings: Iterable[Finding]) -> None:
        self._found += findings

    def merge(self, part: Findings) -> None:
        self._found += part._found
        self._echoes += part._echoes
        self.held += part.held

    def attempt(self, topic: str, find: Callable[[], T]) -> T | None:
        """Return what `find` returns; what it raises becomes a finding, and then none is returned.

        That the Hub does not answer, or not to this token, is said once, however many parts asked.
        """
        try:
            return find()
        except OSError as error:
            self.error(topic, *disk.refused(error))
        except HubtrainError as error:
            finding = Finding("error", topic, error.message, error.fix)
            echo = isinstance(error, HubUnreachable | NoWrite) and topic != "account"
            (self._echoes if echo else self._found).append(finding)
        return None

    @property
    def wrong(self) -> bool:
        return any(f.level == "error" for f in (*self._found, *self._echoes))

    def in_order(self) -> tuple[Finding, ...]:
        """Return the findings by topic, each topic's as they came."""
        told = any(f.topic == "account" and f.level == "error" for f in self._found)
        found = self._found if told else [*self._found, *self._echoes[:1]]
        return in_order(found)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings by topic, each topic's as they came."""
    place = {topic: i for i, topic in enumerate(TOPICS)}
    return tuple(sorted(findings, key=lambda f: place.get(f.topic, len(place))))
