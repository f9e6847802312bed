"""Whether the trained model can be evaluated where it is trained: one device has to hold it."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.preflight.machine import Choice
from orchestrator.preflight.request import JobRequest
from orchestrator.words import size
from worker.facts import ModelFacts
from worker.task import Finding

ROOM = 0.9
"""Share of a device's memory that weights may take, so that a pass fits beside them."""


def check_evaluation(request: JobRequest, facts: ModelFacts, chosen: Choice) -> Iterator[Finding]:
    """Yield that a model which several devices divide among them fits on none of them alone."""
    what = request.task.evaluates(request.params)
    weights, room = facts.parameters * facts.bytes_per_parameter, ROOM * chosen.capacity
    if not what or chosen.parallel.strategy != "fsdp" or weights <= room:
        return
    yield Finding(
        "warn",
        "memory",
        f"{what} asks the model on one GPU of {size(chosen.capacity)}, and its weights take "
        f"{size(weights)}: that will fail, and the model is kept",
        "a machine with larger GPUs, or no evaluation",
    )
