"""Prepares the model repo before training: creates it and checks that it may be written.

Done before any money is spent on training, so that the push at the end is not refused.
"""

from __future__ import annotations

from worker.contract import JobSpec, PushTarget
from worker.errors import BadConfig
from worker.hubclient import explained, hub
from worker.hubfile import fetch
from worker.output import MANIFEST_FILE, made_by, would_lose


def prepare(spec: JobSpec, target: PushTarget, token: str | None) -> None:
    """Make the repo if there is none, and raise a `HubtrainError` if the push would be refused."""
    api = hub(token)
    with explained(f"making the model repo {target.repo_id}"):
        api.create_repo(target.repo_id, private=target.private, exist_ok=True)
    with explained(f"writing to {target.repo_id}"):
        api.auth_check(target.repo_id, write=True)
    if not target.overwrite and (held := _held_by_others(spec, target, token)):
        raise BadConfig(
            f"{target.repo_id} already holds something ({held}).",
            fix="Choose another --project-name, or allow it with --overwrite.",
        )


def _held_by_others(spec: JobSpec, target: PushTarget, token: str | None) -> str:
    """Return a file that is there and not of this job; empty where there is none."""
    with explained(f"looking into {target.repo_id}"):
        held = would_lose(hub(token).list_repo_files(target.repo_id))
    if not held:
        return ""
    manifest = fetch(target.repo_id, MANIFEST_FILE, "main", token)
    return "" if made_by(manifest.text if manifest else None) == spec.job_id else held[0]
