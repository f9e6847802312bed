"""Pushes to the Hub: the model in one commit, or the events and log of a job without a model.

Nothing here retries; `retry` does. If the answer to a commit is lost, the next try first looks
whether the commit is on the Hub, so no model is pushed twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from worker.card import result_of
from worker.contract import EVENTS_FILE, JobSpec, Pushed, PushTarget
from worker.errors import HubError
from worker.hubclient import endpoint, explained, hub
from worker.hubfile import fetch
from worker.output import MANIFEST_FILE, is_model_file
from worker.paths import text_for_others

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_HIDDEN = (".*", "*/.*")
_NOT_OF_A_MODEL = ("checkpoint-*", "training_args.bin", "*.lock")
"""What libraries leave beside a model that only training needs."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A finished model, its card and its manifest, in one folder, on their way to a repo."""

    folder: Path
    spec: JobSpec
    target: PushTarget
    events: str
    """Text of `events.jsonl`, which includes the success that this push completes."""

    @property
    def files(self) -> list[Path]:
        every = (p for p in sorted(self.folder.rglob("*")) if p.is_file())
        left_out = _HIDDEN if self.makes == "output" else (*_HIDDEN, *_NOT_OF_A_MODEL)
        return [p for p in every if not _is(p.relative_to(self.folder), left_out)]

    @property
    def makes(self) -> Literal["model", "output"]:
        return result_of(self.spec)

    @property
    def manifest(self) -> str:
        return (self.folder / MANIFEST_FILE).read_text(encoding="utf-8")

    @property
    def what(self) -> Literal["adapter", "model", "output"]:
        adapter = self.makes == "model" and (self.folder / "adapter_config.json").exists()
        return "adapter" if adapter else self.makes

    @property
    def pushed(self) -> Pushed:
        """The event of this push, without its commit, which is not known before."""
        return Pushed(
            repo_id=self.target.repo_id,
            url=f"{endpoint()}/{self.target.repo_id}",
            what=self.what,
            size_bytes=sum(p.stat().st_size for p in self.files),
        )


def push_model(parcel: Parcel, token: str | None) -> Pushed:
    """Commit the model and return where it is; raises `HubError`. May be called again."""
    api, repo_id = hub(token), parcel.target.repo_id
    head = _head(api, repo_id, "main")
    commit = _landed(parcel, head, token) or _commit(api, parcel, head)
    return parcel.pushed.model_copy(update={"commit": commit})


def push_record(
    spec: JobSpec, target: PushTarget, token: str | None, files: Mapping[str, str | Path]
) -> None:
    """Commit a job's events and log, or files, to a branch of its own; raises `HubError`."""
    api, branch = hub(token), spec.branch
    # The job may have ended before the repo was made.
    with explained(f"making the model repo {target.repo_id}"):
        api.create_repo(target.repo_id, private=target.private, exist_ok=True)
    with explained(f"making the branch {branch} of {target.repo_id}"):
        api.create_branch(target.repo_id, branch=branch, exist_ok=True)
    operations = [
        _add(name, held if isinstance(held, Path) else text_for_others(held, spec).encode())
        for name, held in files.items()
    ]
    with explained(f"keeping the record of {spec.job_id} in {target.repo_id}"):
        api.create_commit(
            target.repo_id,
            operations,
            commit_message=f"Record of job {spec.job_id}",
            revision=branch,
        )


def _commit(api: HfApi, parcel: Parcel, head: str | None) -> str:
    spec, repo_id = parcel.spec, parcel.target.repo_id
    operations = [_add(str(p.relative_to(parcel.folder).as_posix()), p) for p in parcel.files]
    operations.append(_add(EVENTS_FILE, text_for_others(parcel.events, spec).encode()))
    what = "Output of" if parcel.makes == "output" else "Train"
    with explained(f"pushing the {parcel.makes} to {repo_id}"):
        done = api.create_commit(
            repo_id,
            [*operations, *_deletions(api, parcel)],
            commit_message=f"{what} {spec.project} ({spec.task}, job {spec.job_id})",
            parent_commit=head,
        )
    if not done.oid:
        raise HubError(f"pushing the model to {repo_id}: the Hub named no commit.")
    return str(done.oid)


def _landed(parcel: Parcel, head: str | None, token: str | None) -> str | None:
    """Return the head of main if it already is this very push."""
    if head is None:
        return None
    there = fetch(parcel.target.repo_id, MANIFEST_FILE, head, token)
    return head if there and there.text == parcel.manifest else None


def _deletions(api: HfApi, parcel: Parcel) -> list[Any]:
    """What an overwritten model leaves that the new one does not replace."""
    from huggingface_hub import CommitOperationDelete

    new = {p.relative_to(parcel.folder).as_posix() for p in parcel.files}
    with explained(f"looking into {parcel.target.repo_id}"):
        there = api.list_repo_files(parcel.target.repo_id)
    stale = [f for f in there if f not in new and is_model_file(f)]
    return [CommitOperationDelete(path) for path in stale]


def _head(api: HfApi, repo_id: str, branch: str) -> str | None:
    with explained(f"looking into {repo_id}"):
        branches = api.list_repo_refs(repo_id).branches
    return next((b.target_commit for b in branches if b.name == branch), None)


def _add(path: str, content: bytes | Path) -> Any:
    from huggingface_hub import CommitOperationAdd

    return CommitOperationAdd(path, content)


def _is(path: Path, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(path.as_posix(), p) or fnmatch(path.parts[0], p) for p in patterns)
