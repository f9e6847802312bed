"""What a job's worker left on the Hub: its events, beside the model or on the job's own branch."""

from __future__ import annotations

from worker.contract import EVENTS_FILE, Event, JobSpec, Pushed, Started, from_line
from worker.errors import HubError
from worker.hubclient import explained, hub


def archived_events(spec: JobSpec, token: str | None) -> list[Event]:
    """Return the events of this job that are on the Hub; none where it pushed none.

    Looks at the branch a failed job leaves, then beside the model, which may be another job's.
    """
    if spec.push is None:
        return []
    for revision in (f"hubtrain-{spec.job_id}", "main"):
        events = _read(spec.push.repo_id, revision, token)
        if any(isinstance(e, Started) and e.job_id == spec.job_id for e in events):
            return events
    return []


def _read(repo_id: str, revision: str, token: str | None) -> list[Event]:
    api = hub(token)
    try:
        with explained(f"events of {repo_id}"):
            commit = str(api.model_info(repo_id, revision=revision).sha)
            path = api.hf_hub_download(repo_id, EVENTS_FILE, revision=commit)
    except HubError:
        return []
    with open(path, encoding="utf-8") as lines:
        events = [event for line in lines if (event := from_line(line)) is not None]
    return [_placed(event, commit) for event in events]


def _placed(event: Event, commit: str) -> Event:
    """A push cannot know its own commit, so its events leave the place open."""
    if isinstance(event, Pushed) and not event.commit:
        return event.model_copy(update={"commit": commit})
    return event
