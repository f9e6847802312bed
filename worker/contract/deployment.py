"""What a machine that answers for a model needs to know, and no secret."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from worker.contract.frozen import Frozen
from worker.contract.job import ModelRef

DEPLOYMENT_FILE = "deployment.json"
"""The file name of a `Deployment` beside the worker."""


class Deployment(Frozen):
    """A trained model that answers visitors of a page."""

    schema_version: Literal[1] = 1
    task: str
    model: ModelRef
    base: ModelRef | None = None
    """The model that an adapter belongs to; none for a whole model."""

    question: dict[str, Any] = Field(default_factory=dict)
    """Settings of the task's question that are the same for all visitors."""
