"""A package goes to the Hub once: a private dataset repo named by its content.

Shards that are there already are not sent again, whether an earlier submit finished or was cut
short: the Hub keeps whole files it was sent even before they are committed.
"""

from __future__ import annotations

import hashlib
import re
from functools import partial
from importlib.resources import files
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from backends.base import OnProgress, silent
from orchestrator.data.package.notes import notes
from orchestrator.data.package.shards import Package
from orchestrator.data.sources import DATA_PREFIX
from worker.clock import Clock, SystemClock
from worker.contract import DataRef
from worker.errors import NotThere
from worker.hubclient import patiently

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.hf_api import DatasetInfo, RepoSibling

NAME_DIGITS = 12
"""Hex digits of the content in the repo's name: chance makes two alike once in 17 million repos."""


_CONTENT = re.compile(r"[0-9a-f]{16}")
_PACKED = re.compile(rf"[^/]+/{DATA_PREFIX}[0-9a-f]{{{NAME_DIGITS}}}")


def is_packed(repo_id: str) -> bool:
    """Whether a dataset repo has a name that only packed data gets."""
    return bool(_PACKED.fullmatch(repo_id))


def content_of(ref: DataRef) -> str | None:
    """Return the name of the content of packed data, the same wherever it lies; else none."""
    if ref.repo_id is not None:
        return ref.repo_id[-NAME_DIGITS:] if is_packed(ref.repo_id) else None
    name = PurePath(str(ref.folder)).name
    return name[:NAME_DIGITS] if _CONTENT.fullmatch(name) else None


def repo_of(package: Package, owner: str) -> str:
    """Return the dataset repo of a package: the same content always has the same one."""
    return f"{owner}/{DATA_PREFIX}{package.content[:NAME_DIGITS]}"


def planned_ref(package: Package, owner: str | None) -> DataRef:
    """Return the reference as `upload` will make it, its commit not known yet."""
    return package.remote or _ref(package, repo_of(package, owner or "you"), None)


def upload(
    package: Package,
    hub: HfApi,
    owner: str,
    on_progress: OnProgress = silent,
    clock: Clock | None = None,
    *,
    unseen: float = 0.0,
) -> DataRef:
    """Put the package into `owner`'s namespace, unless it is there, and return where.

    For so many seconds, `unseen`, other computers may see nothing of the job that is to read it.
    May be repeated, and goes on where it was interrupted. Raises `HubError`, and `NotThere` where
    packed data of an earlier job is gone.
    """
    clock = clock or SystemClock()
    if package.remote is not None:
        _refuse_removed(package.remote, hub, clock, unseen)
        return package.remote
    repo_id = repo_of(package, owner)
    found = _look_up(repo_id, hub, clock)
    missing = _missing(package, found)
    if found is not None and not notes(repo_id, hub, clock).use(unseen):
        found, missing = None, list(package.digests)
    if found is not None and not missing:
        on_progress("On the Hub", 1.0)
        return _ref(package, repo_id, found.sha)
    if found is None:
        make = partial(hub.create_repo, repo_id, repo_type="dataset", private=True, exist_ok=True)
        patiently(f"making the dataset {repo_id}", make, clock)
        notes(repo_id, hub, clock).use(unseen)
    return _ref(
        package,
        repo_id,
        _send(package, missing, repo_id, hub, on_progress=on_progress, clock=clock),
    )


def _refuse_removed(ref: DataRef, hub: HfApi, clock: Clock, unseen: float) -> None:
    """Raise `NotThere` where packed data that an earlier job sent has been removed since."""
    packed = ref.repo_id if ref.repo_id and is_packed(ref.repo_id) else None
    if packed and not notes(packed, hub, clock).use(unseen):
        raise NotThere(
            f"the data of the earlier job is not there any more: {packed}.",
            fix="Run the job's command again: it sends its data.",
        )


def _ref(package: Package, repo_id: str, revision: str | None) -> DataRef:
    return DataRef(
        repo_id=repo_id,
        revision=revision,
        train=package.train,
        valid=package.valid,
        rows=package.rows,
    )


def _look_up(repo_id: str, hub: HfApi, clock: Clock) -> DatasetInfo | None:
    ask = partial(hub.dataset_info, repo_id, files_metadata=True)
    try:
        return patiently(f"looking for the dataset {repo_id}", ask, clock)
    except NotThere:
        return None


def _missing(package: Package, found: DatasetInfo | None) -> list[str]:
    siblings = {s.rfilename: s for s in (found.siblings or [])} if found else {}
    return [
        name
        for name, digest in package.digests.items()
        if name not in siblings or not _same(siblings[name], digest, package.folder / name)
    ]


def _same(there: RepoSibling, digest: str, path: Path) -> bool:
    """Whether the Hub's file is ours: large ones are known by SHA-256, small ones as git does."""
    if there.lfs is not None:
        return there.lfs.sha256 == digest
    content = path.read_bytes()
    return there.blob_id == hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _send(
    package: Package,
    names: list[str],
    repo_id: str,
    hub: HfApi,
    *,
    on_progress: OnProgress,
    clock: Clock,
) -> str:
    """Send the shards one by one, then commit them all at once; return the commit."""
    from huggingface_hub import CommitOperationAdd

    doing = f"uploading to {repo_id}"
    sizes = [(package.folder / name).stat().st_size for name in names]
    adding: list[CommitOperationAdd] = []
    on_progress("uploading", 0.0)
    for done, name in enumerate(names):
        shard = CommitOperationAdd(name, package.folder / name)
        send = partial(hub.preupload_lfs_files, repo_id, [shard], repo_type="dataset")
        patiently(doing, send, clock)
        adding.append(shard)
        on_progress("uploading", 0.99 * sum(sizes[: done + 1]) / sum(sizes))
    adding.append(CommitOperationAdd("README.md", _card(package).encode()))
    commit = partial(
        hub.create_commit,
        repo_id,
        adding,
        commit_message=f"{package.rows:,} training rows" if package.rows else "files of a job",
        repo_type="dataset",
    )
    made = patiently(doing, commit, clock)
    on_progress("uploading", 1.0)
    return str(made.oid)


def _card(package: Package) -> str:
    splits = {"train": package.train, "validation": package.valid}
    if not package.rows:
        names = ", ".join(name.rpartition("/")[-1] for name in package.train)
        return _template("files.md").format(names=names, content=package.content)
    declared = "".join(
        f"  - split: {split}\n    path: {', '.join(names) if len(names) == 1 else _list(names)}\n"
        for split, names in splits.items()
        if names
    )
    content = package.content
    return _template("card.md").format(declared=declared, rows=package.rows, content=content)


def _template(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _list(names: tuple[str, ...]) -> str:
    return "[" + ", ".join(names) + "]"
