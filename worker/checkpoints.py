"""Checkpoints on the Hub: on a branch of the model repo that is the job's own, the last ones only.

What newer ones replace is really freed. The branch is squashed to one commit, and large files that
neither it nor anything else in the repo holds any more are deleted for good; until then they count
as stored. Nothing here retries, and each function may be called again after it failed.

`checkpoints/checkpoint-100/` on the branch is a folder as the trainer wrote it. Beside it lie the
job and its events so far, so that any machine can go on with nothing but the repo's name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import chain, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worker import tasks
from worker.contract import EVENTS_FILE, JobSpec
from worker.errors import HubError, NotThere
from worker.hubclient import explained, hub

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

FOLDER = "checkpoints"
"""Folder of the checkpoints, on the machine and on the branch."""

STATE_FILE = "trainer_state.json"
"""What transformers writes last of a checkpoint: its step, and all that was logged."""

KEPT = 2
"""Checkpoints that stay on the Hub: one that turns out to be of no use leaves the one before."""


def name_of(step: int | str) -> str:
    """Return the name of a checkpoint's folder, which is transformers' own; `*` is any step's."""
    return f"checkpoint-{step}"


def lacking(names: Iterable[str], needed: Iterable[str]) -> list[str]:
    """Return which of the `needed` patterns (`Task.checkpoint_files`) no file is called by."""
    names = list(names)
    return [pattern for pattern in needed if not any(fnmatch(name, pattern) for name in names)]


def lacking_here(folder: Path, task: str) -> list[str]:
    """Return what a checkpoint on this disk lacks so that the task can go on from it.

    Raises `OSError` where there is no such folder, `ValueError` for a task that is not there.
    """
    return lacking([path.name for path in folder.iterdir()], tasks.load(task).checkpoint_files)


def whole_here(folder: Path, task: str) -> bool:
    """Whether a checkpoint of which nobody has told is there to its end.

    The trainer writes the step last: a machine may be lost between that and the telling.
    """
    try:
        step = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))["global_step"]
        return folder.name == name_of(step) and not lacking_here(folder, task)
    except (OSError, ValueError, LookupError, TypeError):
        return False


@dataclass(frozen=True, slots=True)
class OnHub:
    """A checkpoint on the Hub, and the files it is made of, named within it."""

    step: int
    commit: str
    files: tuple[str, ...]

    def serves(self, task: str) -> bool:
        """Whether the task can go on from it. Raises `ValueError` for one that is not there."""
        return not lacking(self.files, tasks.load(task).checkpoint_files)


def found(repo_id: str, revision: str, token: str | None) -> list[OnHub]:
    """Return the checkpoints at a branch or commit, the newest first. Raises `HubError`."""
    api = hub(token)
    try:
        with explained(f"looking for checkpoints in {repo_id}"):
            commit = str(api.model_info(repo_id, revision=revision).sha)
            paths = [file.path for file in _files(api, repo_id, commit)]
    except NotThere:
        return []
    by_step: dict[int, list[str]] = {}
    for path in paths:
        _, _, inside = path.partition("/")
        folder, _, name = inside.partition("/")
        step = folder.rpartition("-")[2]
        if name and step.isdecimal() and folder == name_of(int(step)):
            by_step.setdefault(int(step), []).append(name)
    return [OnHub(step, commit, tuple(by_step[step])) for step in sorted(by_step, reverse=True)]


def fetch(repo_id: str, commit: str, step: int, to: Path, token: str | None) -> Path:
    """Download a checkpoint below the folder `to`, and return its own. Raises `HubError`.

    The events beside it come along, to where they lie on the branch.
    """
    inside = f"{FOLDER}/{name_of(step)}"
    with explained(f"fetching the checkpoint of step {step} from {repo_id}"):
        hub(token).snapshot_download(
            repo_id, revision=commit, allow_patterns=[f"{inside}/*", EVENTS_FILE], local_dir=to
        )
    if not (to / inside).is_dir():
        raise NotThere(f"{repo_id} has no checkpoint of step {step} at {commit[:7]}.")
    return to / inside


def push(
    spec: JobSpec, step: int, folder: Path, beside: Mapping[str, str], token: str | None
) -> str:
    """Commit a checkpoint, drop those it replaces, and return the commit. Raises `HubError`.

    `beside` is the text of the files that lie beside the checkpoints, by name.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    assert spec.push is not None
    api, repo_id, branch = hub(token), spec.push.repo_id, spec.branch
    with explained(f"making the branch {branch} of {repo_id}"):
        api.create_branch(repo_id, branch=branch, exist_ok=True)
    older = [one for one in found(repo_id, branch, token) if one.step != step]
    inside = f"{FOLDER}/{name_of(step)}"
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    operations: list[Any] = [
        CommitOperationAdd(f"{inside}/{p.relative_to(folder).as_posix()}", p) for p in files
    ]
    operations += [CommitOperationAdd(name, text.encode()) for name, text in beside.items()]
    operations += [
        CommitOperationDelete(f"{FOLDER}/{name_of(one.step)}/{name}")
        for one in older[KEPT - 1 :]
        for name in one.files
    ]
    with explained(f"pushing the checkpoint of step {step} to {repo_id}"):
        api.create_commit(
            repo_id,
            operations,
            commit_message=f"Checkpoint of step {step} (job {spec.job_id})",
            revision=branch,
        )
    return _squashed(api, repo_id, branch)


def remove(repo_id: str, branch: str, token: str | None, *, whole: bool) -> None:
    """Remove a branch's checkpoints, or the `whole` branch, and free their room.

    None there is no error. Raises `HubError`.
    """
    from huggingface_hub import CommitOperationDelete

    api, there = hub(token), found(repo_id, branch, token)
    if there and not whole:
        paths = [f"{FOLDER}/{name_of(one.step)}/{name}" for one in there for name in one.files]
        with explained(f"removing the checkpoints on {branch} of {repo_id}"):
            api.create_commit(
                repo_id,
                [CommitOperationDelete(path) for path in paths],
                commit_message="The model is there: its checkpoints are not needed any more",
                revision=branch,
            )
        _squashed(api, repo_id, branch)
    elif whole:
        try:
            with explained(f"removing the branch {branch} of {repo_id}"):
                large = _large_of_past(api, repo_id, branch)
                api.delete_branch(repo_id, branch=branch)
                _free(api, repo_id, large)
        except NotThere:
            return


def _squashed(api: HfApi, repo_id: str, branch: str) -> str:
    """Leave a branch as one commit, free what only its past held, and return the commit.

    The large files go first: should this be cut short, the past still tells which they are.
    """
    with explained(f"freeing what is replaced on {branch} of {repo_id}"):
        _free(api, repo_id, _large_of_past(api, repo_id, branch))
        api.super_squash_history(repo_id, branch=branch)
        commit = api.model_info(repo_id, revision=branch).sha
    if not commit:
        raise HubError(f"{branch} of {repo_id}: the Hub names no commit.")
    return str(commit)


def _large_of_past(api: HfApi, repo_id: str, branch: str) -> set[str]:
    """Return SHA-256 of the large files of checkpoints in a branch's commits.

    Before the first checkpoint the commits are those of another branch, and not looked at.
    """
    head, *past = [c.commit_id for c in api.list_repo_commits(repo_id, revision=branch)]
    before = takewhile(bool, (_files(api, repo_id, commit) for commit in past))
    every = chain(_files(api, repo_id, head), *before)
    return {file.lfs.sha256 for file in every if file.lfs}


def _free(api: HfApi, repo_id: str, large: set[str]) -> None:
    """Delete those large files for good that no branch or tag holds."""
    refs = api.list_repo_refs(repo_id)
    for ref in (*refs.branches, *refs.tags) if large else ():
        tree = api.list_repo_tree(repo_id, recursive=True, revision=ref.target_commit)
        large = large - {lfs.sha256 for file in tree if (lfs := getattr(file, "lfs", None))}
    if gone := [f for f in api.list_lfs_files(repo_id) if f.file_oid in large] if large else []:
        # Rewriting history would leave every branch as one commit, the user's too.
        api.permanently_delete_lfs_files(repo_id, gone, rewrite_history=False)


def _files(api: HfApi, repo_id: str, revision: str) -> list[RepoFile]:
    """Return the files of the checkpoints at a revision; none where there is no such folder."""
    from huggingface_hub.errors import EntryNotFoundError
    from huggingface_hub.hf_api import RepoFile

    try:
        tree = list(api.list_repo_tree(repo_id, FOLDER, recursive=True, revision=revision))
    except EntryNotFoundError:
        return []
    return [entry for entry in tree if isinstance(entry, RepoFile)]
