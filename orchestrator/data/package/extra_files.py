"""Extra files that a job takes along: packed separately from its data, folders as zips.

It is named by its content and sent as data is. So a job that is asked for again with the same files
sends nothing, one with others is another job, and the data is not sent again for either.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from orchestrator.data.package.shards import Package
from worker.errors import BadConfig
from worker.folder import choose, name_there, pack


def files_along(paths: Sequence[str], folder: Path) -> Package | None:
    """Return copies of the files below `folder` as a package; none of none.

    No two have the same name: the check has seen to that. Raises `BadConfig` where one cannot be
    read.
    """
    digests: dict[str, str] = {}
    stored_bytes = 0
    for path in map(Path, paths):
        name = f"data/{name_there(path)}"
        (folder / "data").mkdir(parents=True, exist_ok=True)
        try:
            _copy(path.expanduser(), folder / name)
        except OSError as error:
            raise BadConfig(f"cannot read {error.filename or path}: {error.strerror}") from error
        with (folder / name).open("rb") as stream:
            digests[name] = hashlib.file_digest(stream, "sha256").hexdigest()
        stored_bytes += (folder / name).stat().st_size
    return Package(folder, digests, tuple(digests), (), 0, stored_bytes) if digests else None


def _copy(path: Path, to: Path) -> None:
    if path.is_dir():
        pack(choose(path), to)
    else:
        shutil.copyfile(path, to)
