"""How several GPUs share a training."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le

from worker.common.optimisation import MOST
from worker.params import Params


class Distributed(Params):
    """Several GPUs."""

    goes_on: ClassVar[bool] = True

    num_processes: Annotated[int | None, Ge(1), Le(MOST)] = None
    """Processes that train together, one on each GPU; none takes all GPUs, and one process where
    there is none. A step takes the rows that one process would."""

    distributed_backend: Literal["ddp", "fsdp", "deepspeed"] | None = None
    """What each of them holds: ddp, the whole model; fsdp, its share of it (FSDP2). deepspeed is
    read as fsdp, which divides what DeepSpeed's ZeRO-3 does, and as ddp for what cannot be divided.
    None takes ddp where the model fits, and else fsdp."""
