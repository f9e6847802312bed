"""What the memory of this machine suffices for: to keep what the backward pass needs, and how much
of a step to take at once.
"""

from __future__ import annotations

from typing import Any

import torch

from worker.engine import devices
from worker.task import ModelFacts
from worker.tasks.llm.cost import enlarged, recomputes
from worker.tasks.llm.params import LlmParams

ROOM = 0.9
"""Share of the memory that passes are enlarged into."""


def recomputes_here(params: LlmParams, model: Any, predicted: float = 1.0) -> bool:
    """Whether activations are recomputed: not where all of them fit into this machine's memory.

    Logits are computed for a share of the tokens that is `predicted`.
    """
    return recomputes(params, facts(params, model), _memory(), predicted)


def in_larger_passes(params: LlmParams, model: Any) -> LlmParams:
    """Return settings that take the rows of a step in fewer passes, where a GPU has the memory.

    The gradients of a step are the same sum. A GPU waits for the CPU in small passes, and all
    weights are made 16-bit in every pass.
    """
    if devices.device() != "cuda" or params.auto_find_batch_size:
        return params
    return enlarged(params, facts(params, model), ROOM * _memory())


def facts(params: LlmParams, model: Any) -> ModelFacts:
    """Return what is known of a model in memory."""
    count = model.num_parameters()  # the numbers that packed weights of 4 bits stand for
    stored = sum(p.numel() * p.element_size() for p in model.parameters())
    return ModelFacts(params.model, count, stored / count, model.config.to_dict())


def _memory() -> float:
    """Return the bytes there are for training, what the model takes included."""
    held = torch.cuda.memory_reserved() if devices.device() == "cuda" else 0
    return devices.memory() + held
