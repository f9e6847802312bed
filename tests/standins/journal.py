"""A laptop that loses its power and a provider that loses answers, at whichever request is chosen.

The provider keeps a backend's contract: it looks before it acts, rents last, and undoes what it was
refused. Trouble comes from a list, one entry for each thing that is done, calm once it is used up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Literal, TypeVar

from backends.base import Backend, Found, OnProgress, Status, silent
from backends.errors import JobGone, LaunchFailed
from backends.handle import Handle
from orchestrator.jobs.records import Records
from orchestrator.terminal.desk import Desk
from standins.script import Hurried, LikeSpaces
from worker.contract import Event, JobSpec, marked
from worker.errors import HubError, HubtrainError, HubUnreachable

T = TypeVar("T")

Trouble = Literal[
    "none", "dies before", "dies after", "no answer", "answer lost", "refused", "meanwhile"
]


class PowerCut(BaseException):
    """The laptop is off. What it had asked for may have happened."""


@dataclass
class Chance:
    """What goes wrong with the next things that are done."""

    troubles: list[Trouble] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None
    """What another process does in the middle of it all."""

    def during(self, act: Callable[[], T]) -> T:
        """Do something that is asked of the provider, with what goes wrong now."""
        trouble = self._before()
        if trouble == "no answer":
            raise HubUnreachable("no answer")
        if trouble == "refused":
            raise HubError("not today")
        answer = act()
        self._after(trouble)
        if trouble == "answer lost":
            raise HubUnreachable("no answer")
        return answer

    @contextmanager
    def around(self) -> Iterator[None]:
        """Do something of this laptop's own, which only its power can stop."""
        trouble = self._before()
        yield
        self._after(trouble)

    def _before(self) -> Trouble:
        trouble = self.troubles.pop(0) if self.troubles else "none"
        if trouble == "dies before":
            self.troubles.clear()
            raise PowerCut
        if trouble == "meanwhile":
            left, self.troubles = self.troubles, []
            self.meanwhile()
            self.troubles = left
        return trouble

    def _after(self, trouble: Trouble) -> None:
        if trouble == "dies after":
            self.troubles.clear()
            raise PowerCut


@dataclass
class Box:
    """What the provider has of one job."""

    spec: JobSpec | None = None
    """None until its files have come."""

    rented: bool = False
    lines: list[str] = field(default_factory=list)

    @property
    def status(self) -> Status:
        if self.rented:
            return Status(alive=True, costing=True, stage="RUNNING")
        begun = not self.lines and not self.stopped
        return Status(alive=begun, costing=False, stage="EMPTY" if begun else "PAUSED")

    stopped: bool = False


@dataclass
class Provider:
    """All boxes, by job, and what is to go wrong when it is asked."""

    chance: Chance
    boxes: dict[str, Box] = field(default_factory=dict)

    @property
    def rented(self) -> dict[str, Box]:
        """The boxes that cost."""
        return {job: box for job, box in self.boxes.items() if box.rented}


class Rental(LikeSpaces):
    """The provider as a backend, as if it were Spaces."""

    def __init__(self, provider: Provider, clock: Hurried) -> None:
        super().__init__(None, clock)
        self.far = provider

    def launch(
        self, request: JobSpec, secrets: Mapping[str, str], on_progress: OnProgress = silent
    ) -> Handle:
        ask, boxes, job = self.far.chance.during, self.far.boxes, request.job_id
        made = False
        try:
            if not ask(lambda: job in boxes):
                made = True
                ask(lambda: boxes.setdefault(job, Box()))
            if ask(lambda: boxes[job].spec is None):
                ask(lambda: setattr(boxes[job], "spec", request))
            if not ask(lambda: boxes[job].rented or boxes[job].stopped):
                ask(lambda: setattr(boxes[job], "rented", True))
        except HubtrainError as error:
            if isinstance(error, HubUnreachable) or not made:
                raise
            ask(lambda: boxes.pop(job, None))
            raise LaunchFailed(error.message) from error
        return Handle("spaces", f"ann/p-{job}")

    def find(self, request: JobSpec) -> Handle | None:
        box = self.far.chance.during(lambda: self.far.boxes.get(request.job_id))
        there = box is not None and (box.rented or box.stopped)
        return Handle("spaces", f"ann/p-{request.job_id}") if there else None

    def status(self, handle: Handle) -> Status:
        return self._box(handle).status

    def logs(self, handle: Handle, *, skip: int = 0, follow: bool = False) -> Iterator[str]:
        return iter(self._box(handle).lines)

    def cancel(self, handle: Handle) -> None:
        def stop() -> None:
            if box := self.far.boxes.get(_job(handle)):
                box.rented, box.stopped = False, True

        self.far.chance.during(stop)

    def remove(self, handle: Handle) -> None:
        self.far.chance.during(lambda: self.far.boxes.pop(_job(handle), None))

    def recall(self, handle: Handle) -> JobSpec:
        spec = self._box(handle).spec
        if spec is None:
            raise JobGone("its files never came")
        return spec

    def sweep(self, owner: str) -> list[Found]:
        boxes = self.far.chance.during(lambda: dict(self.far.boxes))
        return [
            Found(Handle("spaces", f"ann/p-{job}"), job, box.status) for job, box in boxes.items()
        ]

    def _box(self, handle: Handle) -> Box:
        box = self.far.chance.during(lambda: self.far.boxes.get(_job(handle)))
        if box is None:
            raise JobGone("no such box")
        return box


def _job(handle: Handle) -> str:
    return handle.path.removeprefix("ann/p-")


class Journal(Records):
    """Records of a laptop whose power may fail before and after each transaction."""

    def __init__(self, folder: Path, chance: Chance) -> None:
        self.chance = Chance()
        super().__init__(folder)
        self.chance = chance

    @contextmanager
    def opened(self) -> Iterator[Connection]:
        with self.chance.around(), super().opened() as db:
            yield db


class Ticking(Hurried):
    """A clock with an id for every job."""

    made = 0

    def new_id(self) -> str:
        self.made += 1
        return f"job{self.made:03}"


@dataclass(kw_only=True)
class Shop(Desk):
    """A laptop with a journal, and the one provider."""

    home: Path
    far: Provider
    clock: Ticking = field(default_factory=Ticking)

    @cached_property
    def records(self) -> Records:
        return Journal(self.home, self.far.chance)

    def provider(self, name: str) -> Backend[Any]:
        return Rental(self.far if name == "spaces" else Provider(Chance()), self.clock)


def told(box: Box, event: Event, clock: Ticking) -> None:
    """Let a worker say something."""
    seq = len(box.lines) + 1
    said = event.model_copy(update={"at": clock.now(), "seq": seq, "source": "worker"})
    box.lines.append(marked(said))
