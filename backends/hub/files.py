"""The files of a job in a repo of the Hub, and how they get there exactly once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from backends.base import spec_in
from backends.errors import JobGone
from backends.handle import Handle
from backends.image import image_files
from worker.clock import Clock
from worker.contract import JOB_FILE, JobSpec
from worker.errors import HubUnreachable, NotThere
from worker.hubclient import explained, patiently
from worker.paths import spec_for_machine

if TYPE_CHECKING:
    from huggingface_hub import HfApi


@dataclass(frozen=True, slots=True)
class RepoFile:
    """One file of a repo."""

    path: str
    content: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def blob_id(self) -> str:
        """The id git, and so the Hub's file list, gives this content."""
        return hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()


def of_job(job: JobSpec, **more: bytes) -> tuple[RepoFile, ...]:
    """Return what a machine needs to run `job`: its image's files, the worker, and the job."""
    made = {
        JOB_FILE: (spec_for_machine(job).model_dump_json(indent=2) + "\n").encode(),
        **image_files(job.extras or (job.task,), job.machine.accelerators),
        **more,
    }
    return tuple(RepoFile(path, made[path]) for path in sorted(made))


def listed(files: Iterable[RepoFile]) -> list[dict[str, Any]]:
    """Return files as plain data, without what is in them."""
    return [{"path": f.path, "bytes": len(f.content), "sha256": f.sha256} for f in files]


def amount(files: Iterable[RepoFile]) -> str:
    """Return how many files, and how large they are together, as people say it."""
    sizes = [len(f.content) for f in files]
    return f"{len(sizes)} files, {sum(sizes) / 1000:.0f} kB"


def commit(api: HfApi, repo_id: str, kind: str, files: Iterable[RepoFile], message: str) -> None:
    """Commit files to a repo of this kind: `space`, `dataset`. Raises `HubError`."""
    from huggingface_hub import CommitOperationAdd

    with explained(f"sending files to {repo_id}"):
        api.create_commit(
            repo_id,
            [CommitOperationAdd(f.path, f.content) for f in files],
            repo_type=kind,
            commit_message=message,
        )


def has_files(api: HfApi, repo_id: str, kind: str, files: Iterable[RepoFile]) -> bool:
    """Whether a repo of this kind has these files as they are."""
    from huggingface_hub.hf_api import RepoFile as Listed

    tree = api.list_repo_tree(repo_id, repo_type=kind, recursive=True)
    there = {f.path: f.blob_id for f in tree if isinstance(f, Listed)}
    return all(there.get(f.path) == f.blob_id for f in files)


def delete(api: HfApi, repo_id: str, kind: str, clock: Clock) -> None:
    """Delete a repo of this kind; one that is not there is deleted already."""
    patiently(
        f"removing the {kind} {repo_id}",
        lambda: api.delete_repo(repo_id, repo_type=kind, missing_ok=True),
        clock,
    )


def recalled(
    api: HfApi, repo_id: str, kind: str, handle: Handle, revision: str | None = None
) -> JobSpec:
    """Return the job in a repo. Raises `JobGone`, and `BackendError` if it cannot be read."""
    try:
        with explained(f"reading {handle}"), TemporaryDirectory() as folder:
            file = api.hf_hub_download(
                repo_id, JOB_FILE, repo_type=kind, revision=revision, local_dir=folder
            )
            return spec_in(Path(file).read_bytes(), str(handle))
    except NotThere as gone:
        raise JobGone(f"The Hub has no job in {repo_id} that can be read.") from gone


def once(doing: str, act: Callable[[], None], done: Callable[[], bool], clock: Clock) -> None:
    """Act; when the answer is lost, look whether it was done before acting again."""

    def step() -> None:
        try:
            act()
        except HubUnreachable:
            if not done():
                raise

    patiently(doing, step, clock)
