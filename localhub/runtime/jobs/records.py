"""Database records of Jobs. Starts no process and checks no permission."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from localhub.clock import stamp
from localhub.runtime.prices import FREE_FLAVOR
from localhub.storage.store import Store

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, ns TEXT NOT NULL, stage TEXT NOT NULL, record TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS jobs_by_ns ON jobs (ns);
"""
HALF_AN_HOUR = 1800

Words = list[str]
Pairs = dict[str, str]
LabelText = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]*$")]
"""Keys and values of labels hold letters, digits, `-` and `_`: hub-docs, jobs-configuration."""


class JobStage(StrEnum):
    """Where a Job is, in the Hub's own words."""

    SCHEDULING = "SCHEDULING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    ERROR = "ERROR"
    CANCELED = "CANCELED"
    DELETED = "DELETED"

    @property
    def final(self) -> bool:
        return self not in {JobStage.SCHEDULING, JobStage.RUNNING}


class Expose(BaseModel):
    """Ports that have an address of their own; the public ones need no token."""

    ports: list[int] = []
    portsPublic: list[int] = []  # noqa: N815

    def all(self) -> list[int]:
        """Return every port that has an address."""
        return list(dict.fromkeys([*self.ports, *self.portsPublic]))


class Spec(BaseModel):
    """What a Job should do, in the words of POST /api/jobs/{ns}."""

    model_config = ConfigDict(extra="ignore")

    command: Words | None = None
    arguments: Words = []
    environment: Pairs = {}
    secrets: Pairs = {}
    flavor: str = FREE_FLAVOR
    timeoutSeconds: Annotated[int, Field(gt=0)] = HALF_AN_HOUR  # noqa: N815
    attempts: Annotated[int, Field(ge=1, le=10)] = 1
    labels: dict[LabelText, LabelText] = {}
    volumes: list[dict[str, Any]] = []
    expose: Expose | None = None
    network: dict[str, Any] | None = None
    dockerImage: str | None = None  # noqa: N815
    spaceId: str | None = None  # noqa: N815

    def shown(self) -> dict[str, Any]:
        """Return what the API tells of it: never the value of a secret."""
        told = self.model_dump(exclude_none=True, exclude={"secrets", "attempts", "timeoutSeconds"})
        hidden = dict.fromkeys(self.secrets)
        return {
            **told,
            "secrets": hidden,
            "timeout": self.timeoutSeconds,
            "timeoutSeconds": self.timeoutSeconds,
            "retry": self.attempts - 1,
        }


def new_id() -> str:
    """Return an id in the Hub's form."""
    return secrets.token_hex(12)


class Job(BaseModel):
    """A Job: what it should do, and how it is."""

    id: str = Field(default_factory=new_id)
    ns: str
    spec: Spec
    initiator: dict[str, str]
    stage: JobStage = JobStage.SCHEDULING
    message: str | None = None
    created: datetime = Field(default_factory=lambda: datetime.now(UTC))
    started: datetime | None = None
    finished: datetime | None = None
    attempt: int = 1
    run: str | None = None
    """Name of the folder of the run that goes on."""

    port: int | None = None
    """The port the Hub chose, which the Job finds in GRADIO_SERVER_PORT."""

    def durations(self) -> dict[str, int]:
        """Return how long it waited and ran so far, in seconds."""
        now = self.finished or datetime.now(UTC)
        told = {"totalSecs": int((now - self.created).total_seconds())}
        if self.started is not None:
            told["schedulingSecs"] = int((self.started - self.created).total_seconds())
            told["runningSecs"] = int((now - self.started).total_seconds())
        return told

    def shown(self, owner: dict[str, str], urls: list[str]) -> dict[str, Any]:
        """Return the Job as the API tells it."""
        status: dict[str, Any] = {"stage": self.stage, "message": self.message}
        if urls:
            status["exposeUrls"] = urls
        times = {
            "createdAt": self.created,
            "startedAt": self.started,
            "finishedAt": self.finished,
        }
        return {
            **self.spec.shown(),
            "id": self.id,
            **{name: stamp(time) for name, time in times.items() if time is not None},
            "owner": owner,
            "status": status,
            "durations": self.durations(),
            "initiator": self.initiator,
        }


class JobRecords:
    """All Jobs' records."""

    def __init__(self, store: Store) -> None:
        self.store = store
        store.add_schema(SCHEMA)

    def get(self, job: str) -> Job | None:
        """Return a Job by its id."""
        row = self.store.db().execute("SELECT record FROM jobs WHERE id=?", (job,)).fetchone()
        return Job.model_validate_json(row["record"]) if row else None

    def of(self, ns: str) -> list[Job]:
        """Return a namespace's Jobs, the newest first."""
        rows = self.store.db().execute(
            "SELECT record FROM jobs WHERE ns=? ORDER BY rowid DESC", (ns,)
        )
        return [Job.model_validate_json(row["record"]) for row in rows]

    def unfinished(self) -> list[Job]:
        """Return the Jobs that have not ended."""
        rows = self.store.db().execute(
            "SELECT record FROM jobs WHERE stage IN (?,?) ORDER BY rowid",
            (JobStage.SCHEDULING, JobStage.RUNNING),
        )
        return [Job.model_validate_json(row["record"]) for row in rows]

    def put(self, job: Job) -> None:
        """Keep a record."""
        record = job.model_dump_json()
        with self.store.write() as db:
            db.execute(
                "INSERT INTO jobs VALUES (?,?,?,?)"
                " ON CONFLICT (id) DO UPDATE SET stage=?, record=?",
                (job.id, job.ns, job.stage, record, job.stage, record),
            )
