"""What a local job will be, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backends.local.run import RunFolder
from worker.contract import JobSpec


@dataclass(frozen=True, slots=True, repr=False)
class LocalRequest:
    """A process: its folder, its command, and the job it finds there."""

    folder: RunFolder
    command: tuple[str, ...]
    job: JobSpec

    def __repr__(self) -> str:
        return f"{' '.join(self.command)}\n  in {self.folder.path}, detached, for nothing"

    def to_json(self) -> dict[str, Any]:
        """Return the same as plain data, for `--json`."""
        job = self.job.model_dump(mode="json")
        return {"folder": str(self.folder.path), "command": list(self.command), "job": job}
