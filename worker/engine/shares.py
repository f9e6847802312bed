"""Checkpoints of a model that several processes divide among them (FSDP2), as one leaves them.

transformers (5.23) can write the weights of such a model, but neither what is beside them nor read
any of it again. Here what an optimizer has is put together in the main memory of the first process,
one tensor at a time, and each process takes its share of what is read: a checkpoint of four
processes serves one, or eight, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME

from worker.engine import processes


def put_together(state: Any) -> Any:
    """Return an optimizer's state with whole tensors, in main memory; all processes ask at once.

    Those that are not the first get nothing of what is divided.
    """
    if isinstance(state, Mapping):
        return {name: put_together(value) for name, value in state.items()}
    if isinstance(state, list):
        return [put_together(value) for value in state]
    if not isinstance(state, torch.Tensor):
        return state
    whole = processes.whole(state)
    return whole.cpu() if processes.is_first() else None


def load_optimizer(optimizer: Any, file: Path) -> None:
    """Give an optimizer what a checkpoint has of it, to each process its share.

    The file is mapped, so that no process reads more than it takes.
    """
    state = torch.load(file, map_location="cpu", mmap=True, weights_only=True)
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for place, weight in enumerate(weights):
        mine = state["state"].get(place, {})
        for name, value in mine.items():
            if isinstance(value, torch.Tensor) and value.shape == weight.shape:
                mine[name] = _share(value, weight)
    optimizer.load_state_dict(state)


@torch.no_grad()
def load_weights(model: Any, folder: Path) -> None:
    """Give a model the weights of a checkpoint, to each process its share; one is read at a time.

    Raises `KeyError` for weights the model does not have.
    """
    there = model.state_dict()
    for name, value in _weights(folder):
        there[name].copy_(_share(value, there[name]))


def _weights(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    index = folder / SAFE_WEIGHTS_INDEX_NAME
    files = {SAFE_WEIGHTS_NAME}
    if index.is_file():
        files = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    for file in sorted(files):
        with safe_open(folder / file, "pt") as held:
            for name in held.keys():  # noqa: SIM118 (no mapping)
                yield name, held.get_tensor(name)


def _share(whole: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return what this process has of a tensor that is divided as `weight` is; nobody is asked."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(weight, DTensor):
        return whole
    return distribute_tensor(
        whole.to(weight.device), weight.device_mesh, weight.placements, src_data_rank=None
    )
