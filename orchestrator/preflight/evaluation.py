"""Whether the trained model can be evaluated where it is trained: one device has to hold it."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.words import size
from worker.contract import Parallel
from worker.facts import ModelFacts
from worker.task import Finding

ROOM = 0.9
"""Share of a device's memory that weights may take, so that a pass fits beside them."""


def check_evaluation(
    what: str, facts: ModelFacts, parallel: Parallel, memory: float
) -> Iterator[Finding]:
    """Yield that a model which several devices divide among them fits on none of them alone.

    `what` it is evaluated with, empty where it is not; `memory` of each device, in bytes.
    """
    weights = facts.parameters * facts.bytes_per_parameter
    if not what or parallel.strategy != "fsdp" or weights <= ROOM * memory:
        return
    yield Finding(
        "warn",
        "memory",
        f"{what} asks the model on one GPU of {size(memory)}, and its weights take "
        f"{size(weights)}: that will fail, and the model is kept",
        "a machine with larger GPUs, or no evaluation",
    )
