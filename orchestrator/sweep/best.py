"""The best model put where the sweep's is to be; the other trials' repos stay or go.

On the Hub the repo of the best trial is renamed: its files, its commits and its checkpoints stay as
they are, and its old name leads to it. A folder of this machine stays where it was trained.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.jobs.client import Client
from orchestrator.settings.job import JobSettings
from orchestrator.settings.layers import Settings
from orchestrator.sweep.spec import SweepSpec
from orchestrator.sweep.trial import Trial
from worker.account import WRITE, who
from worker.errors import BadConfig, NotThere, NoWrite
from worker.hubclient import endpoint, explained, hub, patiently
from worker.output import MANIFEST_FILE, made_by

if TYPE_CHECKING:
    from huggingface_hub import HfApi

CARD = "README.md"


@dataclass(frozen=True, slots=True)
class Target:
    """The repo that gets the best model."""

    repo_id: str
    private: bool


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the best model is."""

    url: str
    removed: tuple[str, ...] = ()
    """Repos of other trials that were deleted."""


def target_of(spec: SweepSpec, owner: str | None) -> Target | None:
    """Return where the best model goes; none where it stays where it was trained."""
    job = Settings(spec.catalog, spec.settings, spec.origins).of(JobSettings)
    if not job.push_to_hub:
        return None
    return Target(job.repo_id or f"{owner}/{spec.name}", job.private)


def refuse_taken(client: Client, target: Target) -> None:
    """Raise `HubtrainError` if the best model cannot get its repo: one that is there is taken."""
    api = hub(client.token)
    if not who(api, client.clock).may(WRITE, target.repo_id):
        raise NoWrite(
            f"this token may not write {target.repo_id}, where the best model is to go.",
            fix=f"Give it write access at {endpoint()}/settings/tokens",
        )
    if _maker(api, client, target.repo_id) is not None:
        raise BadConfig(
            f"{target.repo_id} is there already, and the best model of a sweep gets a new repo.",
            fix="another --project-name or --repo-id",
        )


def place(
    client: Client, best: Trial, others: Iterable[Trial], target: Target, *, keep: str
) -> Placed:
    """Put the best model in its repo, and with `keep="best"` delete those of the others.

    May repeat. Raises `HubtrainError`; nothing is deleted before the best is in its place.
    """
    api, record = hub(client.token), best.record
    if record is None or record.spec.push is None:
        raise ValueError("a trial whose model is on the Hub")
    made = _maker(api, client, target.repo_id)
    if made is None:
        source = record.spec.push.repo_id
        with explained(f"renaming {source} to {target.repo_id}"):
            api.move_repo(source, target.repo_id)
    elif made != record.job_id:
        raise BadConfig(
            f"{target.repo_id} holds another model, so the best stays in {best.model}.",
            fix="Rename or delete it, then the same command.",
        )
    _called(api, record.spec.push.repo_id, target.repo_id)
    if not target.private:
        with explained(f"making {target.repo_id} public"):
            api.update_repo_settings(target.repo_id, private=False)
    removed = tuple(_removed(api, others)) if keep == "best" else ()
    return Placed(f"{endpoint()}/{target.repo_id}", removed)


def _maker(api: HfApi, client: Client, repo_id: str) -> str | None:
    """Return the job whose model is in a repo, "" for none of ours; none if there is no repo.

    A repo's old name, which leads to another one, is free.
    """
    look = partial(api.model_info, repo_id)
    try:
        info = patiently(f"looking at {repo_id}", look, client.clock)
    except NotThere:
        return None
    if info.id != repo_id:
        return None
    if MANIFEST_FILE not in {s.rfilename for s in info.siblings or []}:
        return ""
    fetch = partial(api.hf_hub_download, repo_id, MANIFEST_FILE, revision=info.sha)
    path = Path(patiently(f"reading {MANIFEST_FILE} of {repo_id}", fetch, client.clock))
    return made_by(path.read_text(encoding="utf-8")) or ""


def _called(api: HfApi, before: str, now: str) -> None:
    """Let the card call the model by its new name."""
    with explained(f"reading the card of {now}"):
        path = Path(api.hf_hub_download(now, CARD))
    text = path.read_text(encoding="utf-8")
    named = re.sub(rf"{re.escape(before)}(?![\w.-])", now, text)
    if named != text:
        with explained(f"writing the card of {now}"):
            api.upload_file(
                path_or_fileobj=named.encode(),
                path_in_repo=CARD,
                repo_id=now,
                commit_message=f"The best of its sweep, trained as {before}",
            )


def _removed(api: HfApi, others: Iterable[Trial]) -> Iterable[str]:
    for trial in others:
        push = trial.record.spec.push if trial.record else None
        if push is not None:
            with explained(f"deleting {push.repo_id}"):
                api.delete_repo(push.repo_id, missing_ok=True)
            yield push.repo_id
