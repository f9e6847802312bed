"""A small model of the same architecture, made in a process of its own: `python -m worker.smaller`.

It is told `folder`, `output` and `trust_remote_code`, and answers as `worker.answering` does, with
what `worker.engine.small` made.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from worker.answering import serve, told


def work(asked: dict[str, Any]) -> dict[str, Any]:
    """Return what was made, or what went wrong, as plain data."""

    def make() -> dict[str, Any]:
        from worker.engine.small import make_small

        trusts = bool(asked["trust_remote_code"])
        made = make_small(Path(asked["folder"]), Path(asked["output"]), trust_remote_code=trusts)
        return asdict(made)

    return told(asked["task"], make)


if __name__ == "__main__":
    serve(work)
