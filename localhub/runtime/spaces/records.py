"""Database records of Spaces. Starts no process and checks no permission."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field

from localhub.clock import stamp
from localhub.runtime.prices import FREE_FLAVOR
from localhub.storage.store import Store

SCHEMA = "CREATE TABLE IF NOT EXISTS spaces (repo INTEGER PRIMARY KEY, record TEXT NOT NULL)"

TWO_DAYS = 48 * 3600
"""Seconds without a visitor after which a free Space sleeps."""

NEVER = -1


class SpaceStage(StrEnum):
    """Where a Space is, in the Hub's own words."""

    NO_APP_FILE = "NO_APP_FILE"
    CONFIG_ERROR = "CONFIG_ERROR"
    BUILDING = "BUILDING"
    BUILD_ERROR = "BUILD_ERROR"
    APP_STARTING = "APP_STARTING"
    RUNNING = "RUNNING"
    RUNTIME_ERROR = "RUNTIME_ERROR"
    PAUSED = "PAUSED"
    SLEEPING = "SLEEPING"
    STOPPED = "STOPPED"

    @property
    def has_machine(self) -> bool:
        """Whether a machine is rented, and therefore paid, in this stage."""
        return self in {SpaceStage.APP_STARTING, SpaceStage.RUNNING}

    @property
    def moving(self) -> bool:
        """Whether it is about to change without a request, so that logs may grow."""
        return self.has_machine or self is SpaceStage.BUILDING

    @property
    def resting(self) -> bool:
        """Whether its owner stopped it: only a restart starts it again."""
        return self in {SpaceStage.PAUSED, SpaceStage.STOPPED}


class Setting(BaseModel):
    """A secret or a variable."""

    value: str
    description: str | None = None
    updated: str = Field(default_factory=lambda: stamp(datetime.now(UTC)))

    def shown(self, key: str, *, secret: bool) -> dict[str, Any]:
        """Return what the API tells of it: never the value of a secret."""
        told: dict[str, Any] = {"key": key, "updatedAt": self.updated}
        if self.description:
            told["description"] = self.description
        return told if secret else {**told, "value": self.value}


class Space(BaseModel):
    """A Space: how it is set, and how it is."""

    repo: int
    """The repo's number, which stays when the repo is renamed."""

    sdk: str | None = None
    stage: SpaceStage = SpaceStage.NO_APP_FILE
    error: str | None = None
    flavor: str = FREE_FLAVOR
    """The hardware requested."""

    current: str | None = None
    """The hardware it has, while it has any."""

    sleep_seconds: int | None = None
    """None is the flavor's own default: two days for a free Space, never for a paid one."""

    secrets: dict[str, Setting] = {}
    variables: dict[str, Setting] = {}
    volumes: list[dict[str, Any]] = []
    run: str | None = None
    """Name of the folder of the run that goes on."""

    built: str | None = None
    """What was built last: the commit and the build arguments, as one fingerprint."""

    sha: str | None = None
    app_port: int = 7860
    port: int | None = None
    """The port the Hub chose, which the Space finds in GRADIO_SERVER_PORT."""

    listens: int | None = None
    """The port it really answers on."""

    patience: float = 1800.0
    """Seconds it may take until it answers."""

    oauth: list[str] | None = None
    """Scopes of its login button; None if it has none."""

    login_minutes: int = 480
    """How long a login there holds."""

    @property
    def sleeps_after(self) -> int | None:
        """Seconds without a visitor after which it sleeps, None for never."""
        if self.flavor == FREE_FLAVOR:
            return TWO_DAYS
        return None if self.sleep_seconds in (None, NEVER) else self.sleep_seconds

    def runtime(self) -> dict[str, Any]:
        """Return what GET /api/spaces/{id}/runtime answers."""
        told: dict[str, Any] = {
            "stage": self.stage,
            "hardware": {"current": self.current, "requested": self.flavor},
            "storage": None,
            "gcTimeout": self.sleeps_after,
            "replicas": {"current": int(self.stage is SpaceStage.RUNNING), "requested": 1},
            "devMode": False,
        }
        if self.error:
            told["errorMessage"] = self.error
        if self.sha:
            told["sha"] = self.sha
        if self.volumes:
            told["volumes"] = self.volumes
        return told


class SpaceRecords:
    """All Spaces' records. Read and write one in the same transaction to change it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        store.add_schema(SCHEMA)

    def get(self, repo: int) -> Space | None:
        """Return the record of a Space, None if the repo is none."""
        row = self.store.db().execute("SELECT record FROM spaces WHERE repo=?", (repo,)).fetchone()
        return Space.model_validate_json(row["record"]) if row else None

    def all(self) -> list[Space]:
        """Return all records, the oldest first."""
        rows = self.store.db().execute("SELECT record FROM spaces ORDER BY repo")
        return [Space.model_validate_json(row["record"]) for row in rows]

    def put(self, space: Space) -> None:
        """Keep a record."""
        with self.store.write() as db:
            db.execute(
                "INSERT INTO spaces VALUES (?,?) ON CONFLICT (repo) DO UPDATE SET record=?",
                (space.repo, *[space.model_dump_json()] * 2),
            )

    def drop(self, repo: int) -> None:
        """Forget a Space."""
        with self.store.write() as db:
            db.execute("DELETE FROM spaces WHERE repo=?", (repo,))
