"""What a job's worker left on the Hub: its events, and its last lines where it left no model."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from worker.clock import Clock
from worker.contract import (
    EVENTS_FILE,
    LOG_TAIL_FILE,
    Event,
    JobSpec,
    Pushed,
    Started,
    from_line,
)
from worker.errors import HubError, HubUnreachable
from worker.hubclient import hub, patiently


def archived_events(spec: JobSpec, token: str | None, clock: Clock) -> list[Event]:
    """Return the events of this job that are on the Hub; none where it left none.

    Looks at the branch a failed job leaves, then beside the model, which may be another job's.
    Raises `HubUnreachable`, since then it is not known what the job left.
    """
    for revision in (spec.branch, "main"):
        commit, lines = _lines(spec, revision, EVENTS_FILE, token, clock)
        events = [event for line in lines if (event := from_line(line)) is not None]
        if any(isinstance(e, Started) and e.job_id == spec.job_id for e in events):
            return [_placed(event, commit) for event in events]
    return []


def archived_log(spec: JobSpec, token: str | None, clock: Clock) -> list[str]:
    """Return the last lines of a job that left no model. Raises `HubUnreachable`."""
    return _lines(spec, spec.branch, LOG_TAIL_FILE, token, clock)[1]


def _lines(
    spec: JobSpec, revision: str, name: str, token: str | None, clock: Clock
) -> tuple[str, list[str]]:
    """Return a file's commit and lines; none where the job pushes nothing or the file is not."""
    if spec.push is None:
        return "", []
    repo_id, api = spec.push.repo_id, hub(token)
    doing = f"looking for what {spec.job_id} left in {repo_id}"
    try:
        info = patiently(doing, partial(api.model_info, repo_id, revision=revision), clock)
        fetch = partial(api.hf_hub_download, repo_id, name, revision=info.sha)
        path = Path(patiently(doing, fetch, clock))
    except HubUnreachable:
        raise
    except HubError:
        return "", []
    # Not `splitlines`: JSON leaves marks such as U+2028 as they are, within a line.
    text = path.read_text(encoding="utf-8").rstrip("\n")
    return str(info.sha), text.split("\n") if text else []


def _placed(event: Event, commit: str) -> Event:
    """A push cannot know its own commit, so its events leave the place open."""
    if isinstance(event, Pushed) and not event.commit:
        return event.model_copy(update={"commit": commit})
    return event
