"""A provider in little: what a job's machine says and prints, by seconds after its launch."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from backends.base import Backend, Flavor, Found, OnProgress, Status, silent
from backends.errors import JobGone
from backends.handle import Handle
from worker.contract import Event, JobSpec, marked
from worker.errors import HubtrainError, HubUnreachable

START = datetime(2026, 1, 2, 12, tzinfo=UTC)

RUNS = Status(alive=True, costing=True, stage="RUNNING")
PAUSED = Status(alive=False, costing=False, stage="PAUSED")
AWAY = HubUnreachable("no answer")


class Hurried:
    """A clock whose sleeps last no time; other threads get a moment to do their part."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        time.sleep(0.0005)

    def new_id(self) -> str:
        return "k4x7qp"


@dataclass
class Far:
    """The far side of one job. A machine that is told to stop is gone `stops_after` seconds later.

    `logs` holds one list of lines for every time somebody connects; the last one repeats.
    """

    clock: Hurried
    machine: Sequence[tuple[float, Status | HubtrainError]]
    logs: Sequence[Sequence[tuple[float, str] | HubtrainError]] = ((),)
    build: Sequence[str] = ()
    spec: JobSpec | HubtrainError | None = None
    stops_after: float | None = 1.0
    refuses: HubtrainError | None = None
    """What it says to whoever wants to stop it."""

    cancelled: list[float] = field(default_factory=list)
    removed: int = 0
    connections: int = 0

    def status(self) -> Status:
        now, wait = self.clock.seconds, self.stops_after
        if self.cancelled and wait is not None and now >= self.cancelled[0] + wait:
            return PAUSED
        said = next(what for at, what in reversed(self.machine) if now >= at)
        if isinstance(said, HubtrainError):
            raise said
        return said


class LikeSpaces(Backend[Any]):
    """What stands for Spaces: nothing is to be chosen, and a job is sent as it is."""

    name = "spaces"
    noun = "Space"
    sees_my_files = False
    keeps_disk = False
    bills = True
    on_hub = True

    def flavors(self) -> list[Flavor]:
        return []

    def plan(self, job: JobSpec) -> Any:
        return job


class Scripted(LikeSpaces):
    """Plays one far side, as if it were Spaces."""

    short_names: ClassVar[Mapping[str, str]] = {}

    def __init__(self, far: Far, token: str | None = None) -> None:
        super().__init__(token, far.clock)
        self.far = far

    def launch(
        self, request: Any, secrets: Mapping[str, str], on_progress: OnProgress = silent
    ) -> Handle:
        return Handle("spaces", f"ann/p-{request.job_id}")

    def find(self, request: Any) -> Handle | None:
        return None

    def status(self, handle: Handle) -> Status:
        return self.far.status()

    def logs(self, handle: Handle, *, skip: int = 0, follow: bool = False) -> Iterator[str]:
        far = self.far
        lines = far.logs[min(far.connections, len(far.logs) - 1)]
        far.connections += 1
        for line in lines:
            if isinstance(line, HubtrainError):
                raise line
            at, text = line
            while far.clock.seconds < at:
                if not follow:
                    return
                time.sleep(0.0005)
            yield text

    def build_logs(self, handle: Handle) -> Iterator[str]:
        return iter(self.far.build)

    def cancel(self, handle: Handle) -> None:
        if self.far.refuses:
            raise self.far.refuses
        self.far.cancelled.append(self.far.clock.seconds)

    def remove(self, handle: Handle) -> None:
        self.far.removed += 1

    def recall(self, handle: Handle) -> JobSpec:
        if self.far.spec is None:
            raise JobGone("no job there")
        if isinstance(self.far.spec, HubtrainError):
            raise self.far.spec
        return self.far.spec

    def sweep(self, owner: str) -> list[Found]:
        return [Found(Handle("spaces", f"{owner}/p-k4x7qp"), "k4x7qp", self.far.status())]


def told(at: float, event: Event, seq: int) -> tuple[float, str]:
    """Return the line in which a worker tells an event."""
    when = START + timedelta(seconds=at)
    return at, marked(event.model_copy(update={"at": when, "seq": seq, "source": "worker"}))
