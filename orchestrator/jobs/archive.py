"""What a job's worker left on the Hub, asked for again while the Hub does not answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from worker import archive
from worker.clock import Clock
from worker.contract import Event, JobSpec
from worker.errors import HubError, HubUnreachable
from worker.hubclient import patiently

T = TypeVar("T")


def archived_events(spec: JobSpec, token: str | None, clock: Clock) -> list[Event]:
    """Return the events of this job that are on the Hub; none where it left none.

    Raises `HubUnreachable`, since then it is not known what the job left.
    """
    return _asked(spec, partial(archive.archived_events, spec, token), clock)


def archived_log(spec: JobSpec, token: str | None, clock: Clock) -> list[str]:
    """Return the last lines of a job that left no model. Raises `HubUnreachable`."""
    return _asked(spec, partial(archive.archived_log, spec, token), clock)


def _asked(spec: JobSpec, ask: Callable[[], list[T]], clock: Clock) -> list[T]:
    where = spec.push.repo_id if spec.push else ""
    try:
        return patiently(f"looking for what {spec.job_id} left in {where}", ask, clock)
    except HubUnreachable:
        raise
    except HubError:  # a repo that this token may not see
        return []
