"""Files of the user's that go along with a job: a package of their own, as they are.

It is named by its content and sent as data is. So a job that is asked for again with the same files
sends nothing, one with others is another job, and the data is not sent again for either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from orchestrator.data.package.shards import Package
from worker.errors import BadConfig


def files_along(paths: Sequence[str], folder: Path) -> Package | None:
    """Return copies of the files below `folder` as a package; none of none.

    No two have the same name: the check has seen to that. Raises `BadConfig` where one cannot be
    read.
    """
    digests: dict[str, str] = {}
    stored_bytes = 0
    for path in map(Path, paths):
        name = f"data/{path.name}"
        try:
            content = path.expanduser().read_bytes()
        except OSError as error:
            raise BadConfig(f"cannot read {path}: {error.strerror}") from error
        (folder / "data").mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        digests[name] = hashlib.sha256(content).hexdigest()
        stored_bytes += len(content)
    return Package(folder, digests, tuple(digests), (), 0, stored_bytes) if digests else None
