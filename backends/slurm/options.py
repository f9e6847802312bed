"""What can be asked of Slurm, beside the job: by the names that `sbatch` has for it."""

from __future__ import annotations

import re
from typing import Annotated

from annotated_types import Ge, Gt, Le
from pydantic import Field, field_validator

from worker.params import Params

_WORD = r"^[A-Za-z0-9_][A-Za-z0-9_.,:@=/+-]*$"
Word = Annotated[str, Field(pattern=_WORD, max_length=200)]
"""One word of a job script: no blank, no line break, and no option of another program."""

_TIME = re.compile(r"\d+(:\d{1,2}){0,2}|\d+-\d+(:\d{1,2}){0,2}")


class SlurmOptions(Params):
    """Slurm."""

    slurm_host: Word | None = None
    """Login node as `ssh` knows it, as in ann@login.cluster; none for the Slurm of this machine."""

    slurm_partition: Word | None = None
    """Partition; the cluster's default one when not given."""

    slurm_account: Word | None = None
    """Account that the job is charged to."""

    slurm_qos: Word | None = None
    """Quality of service."""

    slurm_gpus: Annotated[str, Field(pattern=r"^([A-Za-z0-9_.-]+:)?\d{1,3}$")] | None = None
    """GPUs of the node, as in 2 or a100:2."""

    slurm_gres: Word | None = None
    """Other generic resources of the node, as in shard:4 or gpu:a100:2,nvme:1."""

    slurm_cpus: Annotated[int, Ge(1)] | None = None
    """CPU cores (--cpus-per-task)."""

    slurm_memory: Annotated[str, Field(pattern=r"^\d+[KMGT]?$")] | None = None
    """Main memory of the node, as in 32G (--mem)."""

    slurm_time: str | None = None
    """Wall time as Slurm writes it: 30, 2:00:00 or 1-12; from --max-duration when not given."""

    slurm_nodes: Annotated[int, Ge(1)] = 1
    """Nodes that train together; cores, memory and GPUs are those of each."""

    slurm_constraint: Word | None = None
    """Features that the node must have (--constraint)."""

    slurm_folder: str | None = None
    """Folder of the cluster's shared file system where jobs lie; hubtrain in your home there, or
    where hubtrain keeps its own files on this machine, when not given."""

    slurm_setup: str | None = None
    """Lines of shell that come first, as in `module load cuda`."""

    slurm_python: str | None = None
    """Python of an environment that has what training needs; the one that runs hubtrain, or over
    ssh a new environment in --slurm-folder, when not given."""

    slurm_gpu_memory: Annotated[float, Gt(0)] | None = None
    """Memory of one GPU in GB, which Slurm does not tell; by the GPU's name when not given."""

    slurm_array: Annotated[int, Ge(1), Le(1000)] = 100
    """Trials of a sweep that one job array takes at most; 1 submits each by itself."""

    slurm_requeue: bool = True
    """Let Slurm start the job again when it takes its node away."""

    @field_validator("slurm_time")
    @classmethod
    def _slurms_time(cls, value: str | None) -> str | None:
        if value is not None and not _TIME.fullmatch(value):
            raise ValueError("is no wall time of Slurm; write 30 (minutes), 2:00:00 or 1-12")
        return value

    @field_validator("slurm_folder", "slurm_python")
    @classmethod
    def _a_path(cls, value: str | None) -> str | None:
        if value is not None and (not value.isprintable() or value.startswith("-")):
            raise ValueError("is no path")
        return value

    @property
    def memory_bytes(self) -> float | None:
        """The memory that is asked for; none where none is."""
        if self.slurm_memory is None:
            return None
        number = self.slurm_memory.rstrip("KMGT")
        unit = self.slurm_memory.removeprefix(number) or "M"
        return float(number) * 2.0 ** (10 * " KMGT".index(unit))

    @property
    def gpus(self) -> tuple[str | None, int]:
        """Type and number of GPUs that are asked for by name; no type and 0 where none are."""
        asked = self.slurm_gpus or next(
            (g.removeprefix("gpu:") for g in (self.slurm_gres or "").split(",") if _is_gpu(g)), ""
        )
        kind, _, number = asked.rpartition(":")
        return kind or None, int(number or 0)


def _is_gpu(gres: str) -> bool:
    return bool(re.fullmatch(r"gpu:([^:]+:)?\d+", gres))
