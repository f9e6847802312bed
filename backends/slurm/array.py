"""Several jobs as one job array: a folder beside theirs, whose numbered links lead to them.

Slurm gives each task the number of a link, by which the script finds the job's own folder, and the
log lies there. So a task is found, asked about and cancelled as any job of ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from backends.slurm.launch import files_of, tarred
from backends.slurm.request import LOG, NAME, SlurmRequest, asked

SCRIPT = "array.sh"
SHARED = "shared"
"""Folder in the tar of files that all jobs have."""


@dataclass(frozen=True, slots=True)
class Array:
    """Jobs of one cluster that ask for the same."""

    requests: Sequence[SlurmRequest]

    @property
    def name(self) -> str:
        """Its name in Slurm."""
        return f"{NAME}array-{self.requests[0].job.job_id}"

    @property
    def folder(self) -> str:
        """Where its script and its links lie."""
        root = PurePosixPath(self.requests[0].folder).parent
        return str(root / "arrays" / self.requests[0].job.job_id)

    @property
    def job_ids(self) -> list[str]:
        """The jobs; the cluster gives each that is submitted a number."""
        return [request.job.job_id for request in self.requests]

    @property
    def script(self) -> str:
        """The script of every task. Which numbers there are, `sbatch` is told beside it."""
        return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        (options,) = {tuple(asked(one, self.name, f"%a/{LOG}")) for one in self.requests}
        yield "#!/bin/bash"
        yield from (f"#SBATCH {option}" for option in options)
        yield ""
        yield f"# {len(self.requests)} jobs of hubtrain, each in the folder its number leads to."
        yield 'cd -P "$SLURM_ARRAY_TASK_ID" && exec bash -l job.sh'

    def payload(self, secrets: Mapping[str, str]) -> bytes:
        """Return what is sent, as a tar: what all jobs have in common goes once."""
        each = {one.job.job_id: files_of(one, secrets) for one in self.requests}
        first, *others = each.values()
        shared = {p: c for p, c in first.items() if all(o.get(p) == c for o in others)}
        files = {f"{SHARED}/{path}": content for path, content in shared.items()}
        for job_id, its in each.items():
            files |= {f"{job_id}/{path}": its[path] for path in its.keys() - shared.keys()}
        return tarred({**files, SCRIPT: self.script.encode()})
