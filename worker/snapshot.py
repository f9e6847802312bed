"""Files of a repo of the Hub, fetched in a process of its own: `python -m worker.snapshot`.

It is told `name`, `kind`, `revision` and `files`, and answers as `worker.answering` does, with the
folder of the Hub's cache that has them. Who does not want them any more ends the process.
"""

from __future__ import annotations

import glob
import os
from typing import Any

from worker.answering import serve, told
from worker.hubclient import explained, hub


def work(asked: dict[str, Any]) -> dict[str, Any]:
    """Return where the files are, or what went wrong, as plain data."""
    name = str(asked["name"])

    def fetch() -> str:
        with explained(f"fetching {name}"):
            return hub(os.environ.get("HF_TOKEN")).snapshot_download(
                name,
                repo_type=asked["kind"],
                revision=asked["revision"],
                allow_patterns=[glob.escape(file) for file in asked["files"]],
            )

    return told(asked["task"], fetch)


if __name__ == "__main__":
    serve(work)
