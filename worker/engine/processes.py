"""This process among those that train together: its place, and what they tell one another.

`join` makes it one of them. Until then, and where nobody else trains, it is the first of one, and
all here costs nothing. What is told beside the gradients goes by gloo, from main memory to main
memory, so that no GPU is waited for.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import distributed

from worker.contract import Parallel

T = TypeVar("T")
R = TypeVar("R")

PATIENCE = timedelta(minutes=30)
"""How long the others are waited for: the first may read and pack rows while they do."""

LOOPBACK = "lo" if sys.platform == "linux" else "lo0"

_joined: list[Parallel] = []
_group: list[Any] = []


def join(parallel: Parallel) -> None:
    """Find the other processes and take this one's GPU, before anything else uses torch.

    Blocks until all are there. The launcher has left in the environment where they meet.
    """
    if parallel.processes == 1:
        return
    from accelerate import PartialState

    if parallel.nodes == 1:  # nobody else may listen
        for library in ("GLOO", "NCCL"):
            os.environ.setdefault(f"{library}_SOCKET_IFNAME", LOOPBACK)
    PartialState(cpu=not torch.cuda.is_available(), timeout=PATIENCE)
    _joined.append(parallel)
    _group.append(distributed.new_group(backend="gloo", timeout=PATIENCE))


def count() -> int:
    """Return how many processes train together."""
    return _joined[-1].processes if _joined else 1


def on_this_node() -> int:
    """Return how many of them are on this machine."""
    return count() // _joined[-1].nodes if _joined else 1


def is_first() -> bool:
    """Whether this is the one that tells and writes."""
    return rank() == 0


def rank() -> int:
    """Return the place of this process among them, from 0."""
    return int(os.environ.get("RANK", "0")) if _joined else 0


def sharded() -> bool:
    """Whether each holds only its share of the model."""
    return bool(_joined) and _joined[-1].strategy == "fsdp"


def any_of(mine: bool) -> bool:
    """Return whether it is so in any process. All have to ask at the same point."""
    return _reduced(float(mine), distributed.ReduceOp.MAX) > 0 if _joined else mine


def least_of(mine: float) -> float:
    """Return the least of the processes' values. All have to ask at the same point."""
    return _reduced(mine, distributed.ReduceOp.MIN) if _joined else mine


def wait() -> None:
    """Wait until all have come to this point."""
    any_of(False)


def divide(model: Any) -> None:
    """Divide the weights again that a forward pass alone has left whole (FSDP2).

    A backward pass would have done so. An optimizer made before that would hold the whole weights,
    which are then thrown away, and train nothing.
    """
    if not sharded():
        return
    from torch.distributed.fsdp import FSDPModule

    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def whole(weights: torch.Tensor) -> torch.Tensor:
    """Return all of the weights of which each process may have a share (FSDP2)."""
    if not sharded():
        return weights
    from torch.distributed.tensor import DTensor  # takes more than half a second

    return weights.full_tensor() if isinstance(weights, DTensor) else weights


def once(make: Callable[[], T], file: Path) -> T:
    """Return what the first process makes: the others read it from `file` of its work folder."""
    if not _joined:
        return make()
    if is_first():
        made = make()
        file.write_bytes(pickle.dumps(made))
        wait()
        return made
    wait()
    found: T = pickle.loads(file.read_bytes())  # our own, made a moment ago
    return found


def gathered(mine: Sequence[T]) -> list[T]:
    """Return what all processes have, that of the first in front. All have to ask at once."""
    if not _joined:
        return list(mine)
    found: list[Any] = [None] * count()
    distributed.all_gather_object(found, list(mine), group=_group[-1])
    return [one for part in found for one in part]


def in_parts(rows: Sequence[R], make: Callable[[Sequence[R]], Sequence[T]]) -> list[T]:
    """Return what is made of each row, in their order; each process makes its part of it."""
    places = range(len(rows))[rank() :: count()]
    made = gathered([*zip(places, make([rows[i] for i in places]), strict=True)])
    return [one for _, one in sorted(made, key=itemgetter(0))]


def _reduced(value: float, how: Any) -> float:
    told = torch.tensor([value], dtype=torch.float64)
    distributed.all_reduce(told, how, group=_group[-1])
    return float(told)
