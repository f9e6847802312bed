"""The model repo before training: made, writable, free to be written, and not already served.

Asked before anything is spent on training, so that a push at the end has no reason to be refused.
"""

from __future__ import annotations

from fnmatch import fnmatch
from http import HTTPStatus

from worker.contract import (
    ENDINGS,
    EVENTS_FILE,
    Event,
    JobSpec,
    PushTarget,
    Started,
    from_line,
)
from worker.errors import BadConfig, NotThere
from worker.hubclient import endpoint, explained, hub
from worker.output import MANIFEST_FILE, MODEL_FILES, made_by


def prepare(spec: JobSpec, target: PushTarget, token: str | None) -> None:
    """Make the repo if there is none, and raise a `HubtrainError` if the push would be refused."""
    api = hub(token)
    with explained(f"making the model repo {target.repo_id}"):
        api.create_repo(target.repo_id, private=target.private, exist_ok=True)
    with explained(f"writing to {target.repo_id}"):
        api.auth_check(target.repo_id, write=True)
    if not target.overwrite and (held := _held_by_others(spec, target, token)):
        raise BadConfig(
            f"{target.repo_id} already holds a model ({held}).",
            fix="Choose another --project-name, or allow it with --overwrite.",
        )


def earlier_life(spec: JobSpec, target: PushTarget, token: str | None) -> list[Event]:
    """Return this attempt's events if they are on the Hub and tell its end; else nothing.

    That is how a Space that the Hub restarted knows not to train again.
    """
    for revision in (spec.branch, "main"):
        text = fetch(target.repo_id, EVENTS_FILE, revision, token)
        events = [e for line in (text or "").split("\n") if (e := from_line(line))]
        ours = any(isinstance(e, Started) and e.job_id == spec.job_id for e in events)
        if ours and ended(events, spec.attempt):
            return events
    return []


def ended(events: list[Event], attempt: int) -> bool:
    """Whether the events tell the end of this attempt."""
    return any(isinstance(e, ENDINGS) and e.attempt == attempt for e in events)


def fetch(repo_id: str, path: str, revision: str, token: str | None) -> str | None:
    """Return a small text file of a repo; none if the repo, revision or file is not there."""
    from huggingface_hub import get_session, hf_hub_url
    from huggingface_hub.utils._headers import build_hf_headers
    from huggingface_hub.utils._http import hf_raise_for_status

    url = hf_hub_url(repo_id, path, revision=revision, endpoint=endpoint())
    try:
        with explained(f"reading {path} of {repo_id}"):
            headers = build_hf_headers(token=token or False)
            answer = get_session().get(url, headers=headers, follow_redirects=True)
            if answer.status_code == HTTPStatus.NOT_FOUND:
                return None
            hf_raise_for_status(answer)
    except NotThere:
        return None
    return str(answer.text)


def _held_by_others(spec: JobSpec, target: PushTarget, token: str | None) -> str:
    """Return the first model file that is there and not of this job; empty where there is none."""
    with explained(f"looking into {target.repo_id}"):
        files = hub(token).list_repo_files(target.repo_id)
    held = [f for f in files if any(fnmatch(f, pattern) for pattern in MODEL_FILES)]
    if not held:
        return ""
    manifest = fetch(target.repo_id, MANIFEST_FILE, "main", token)
    return "" if made_by(manifest) == spec.job_id else held[0]
