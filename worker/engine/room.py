"""What this machine has room for, asked with the model in memory, as the check asked before."""

from __future__ import annotations

import torch

from worker.engine import devices, processes
from worker.engine.model import Loaded
from worker.facts import ModelFacts


def facts_of(loaded: Loaded) -> ModelFacts:
    """Return what is known of a model in memory, as the check knew it from its files.

    But a machine that is slow with 16 bits has 32 of all numbers, whatever the files have.
    """
    model, precision = loaded.model, loaded.precision
    count = model.num_parameters()  # the numbers that packed weights of 4 bits stand for
    stored = precision.checkpoint if precision.autocast else torch.float32
    return ModelFacts(loaded.source.ref.name, count, stored.itemsize, model.config.to_dict())


def memory() -> float:
    """Return the bytes there are for training, what the model takes included."""
    held = torch.cuda.memory_reserved() if devices.device() == "cuda" else 0
    return processes.least_of(devices.memory() + held)
