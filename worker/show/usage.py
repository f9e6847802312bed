"""What a machine is busy with, as it is shown; `worker.supervise.resources` measures it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gpu:
    """One accelerator as it is now; memory in bytes."""

    name: str
    busy: float
    """Share of the time it computes, 0 to 1."""

    used: float
    total: float


@dataclass(frozen=True, slots=True)
class Usage:
    """What the machine is busy with now."""

    cpu: float
    """Share of all cores, 0 to 1."""

    memory: float
    """Bytes of main memory in use by this job."""

    memory_limit: float
    gpus: tuple[Gpu, ...] = ()
