"""Where training begins: at a checkpoint, if this job or the one it resumes has left one.

This job's own come first: a machine that is started again goes on where it was, from its disk or
from the Hub, whichever is further. Then comes the one that the job was made to go on from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from worker import checkpoints
from worker.contract import EVENTS_FILE, Checkpoint, EndReason, Event, Metric, Start
from worker.errors import HubtrainError, NotThere
from worker.supervise.journal import read_events
from worker.supervise.live import Live

T = TypeVar("T")

Asking = Callable[[Callable[[], T], str], T]
"""Asks the Hub with patience: what to ask, and what that is called."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """A checkpoint on this machine's disk."""

    step: int
    folder: Path
    where: str
    """Where it was taken from, for people."""


def beginning(live: Live, ask: Asking[Any]) -> Beginning | None:
    """Return where training begins, brought here; none at its first step.

    Raises `HubtrainError` where the checkpoint to go on from cannot be had.
    """
    return _own(live, ask) or (_resumed(live, live.spec.start, ask) if live.spec.start else None)


def _own(live: Live, ask: Asking[Any]) -> Beginning | None:
    """Return the furthest checkpoint that this very job has left, before a restart."""
    here = max(_left_here(live), key=lambda one: one.step, default=None)
    sent = _sent(live, ask)
    if sent and live.spec.push and (here is None or sent.step > here.step):
        return _fetched(live, sent.step, live.spec.push.repo_id, sent.commit, ask=ask)
    return here


def _left_here(live: Live) -> Iterator[Beginning]:
    """Yield the whole checkpoints that this job has left on this machine's disk, told or not."""
    for event in live.journal.events:
        if not isinstance(event, Checkpoint) or event.on_hub:
            continue
        if _complete(live, event.where):
            yield Beginning(event.step, Path(event.where), event.where)
    for folder in (live.host.work / checkpoints.FOLDER).glob(checkpoints.name_of("*")):
        if checkpoints.whole_here(folder, live.spec.task):
            yield Beginning(int(folder.name.rpartition("-")[2]), folder, str(folder))


def _sent(live: Live, ask: Asking[Any]) -> checkpoints.OnHub | None:
    """Return the newest whole checkpoint on the job's branch.

    The branch is asked, since the events beside a checkpoint cannot know its commit.
    """
    if (target := live.spec.push) is None:
        return None

    def found() -> list[checkpoints.OnHub]:
        return checkpoints.found(target.repo_id, live.spec.branch, live.host.token)

    there: list[checkpoints.OnHub] = ask(found, f"looking for checkpoints in {target.repo_id}")
    return next((one for one in there if one.serves(live.spec.task)), None)


def _complete(live: Live, where: str) -> bool:
    folder = Path(where)
    return folder.is_dir() and not checkpoints.lacking_here(folder, live.spec.task)


def _resumed(live: Live, start: Start, ask: Asking[Any]) -> Beginning:
    """Return the checkpoint of the job that this one resumes; its measurements are told again."""
    if start.repo_id and start.revision:
        fetched = _fetched(live, start.step, start.repo_id, start.revision, ask=ask)
        _retell(live, start, read_events(fetched.folder.parents[1] / EVENTS_FILE))
        return fetched
    folder = Path(str(start.folder))
    if not _complete(live, str(folder)):
        raise HubtrainError(
            f"The checkpoint of step {start.step} is not in {folder}, or not all of it.",
            fix="Run the job from its beginning.",
            reason=EndReason.BAD_CONFIG,
        )
    _retell(live, start, read_events(folder.parents[1] / EVENTS_FILE))
    return Beginning(start.step, folder, str(folder))


def _fetched(live: Live, step: int, repo_id: str, commit: str, *, ask: Asking[Any]) -> Beginning:
    def fetched() -> Path:
        token = live.host.token
        return checkpoints.fetch(repo_id, commit, step, live.host.work / "start", token)

    try:
        folder = ask(fetched, f"fetching the checkpoint of step {step}")
    except NotThere as error:
        raise HubtrainError(
            error.message, fix="Run the job from its beginning.", reason=EndReason.BAD_CONFIG
        ) from error
    return Beginning(step, folder, f"{repo_id}@{commit[:7]}")


def _retell(live: Live, start: Start, events: Iterable[Event]) -> None:
    """Tell what was measured up to the checkpoint, so that the two trainings are one story."""
    live.journal.retell(e for e in events if isinstance(e, Metric) and e.step <= start.step)
