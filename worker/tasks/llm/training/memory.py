"""Whether the memory of this machine suffices to keep what the backward pass needs."""

from __future__ import annotations

from typing import Any

import torch

from worker.engine import devices
from worker.task import ModelFacts
from worker.tasks.llm.cost import recomputes
from worker.tasks.llm.params import LlmParams


def recomputes_here(params: LlmParams, model: Any, predicted: float = 1.0) -> bool:
    """Whether activations are recomputed: not where all of them fit into this machine's memory.

    Logits are computed for a share of the tokens that is `predicted`.
    """
    count = sum(p.numel() for p in model.parameters())
    stored = sum(p.numel() * p.element_size() for p in model.parameters())
    facts = ModelFacts(params.model, count, stored / count, model.config.to_dict())
    held = torch.cuda.memory_reserved() if devices.device() == "cuda" else 0
    return recomputes(params, facts, devices.memory() + held, predicted)
