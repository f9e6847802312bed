"""What is done with language models beside training: `hubtrain tools`, and `hubtrain export`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from worker.errors import BadConfig
from worker.installing import install
from worker.task import Tool
from worker.tasks.llm.evaluation import PACKAGE, LmEvalRequest
from worker.tasks.llm.exporting import ExportRequest
from worker.tasks.llm.merging import MergeParams


def merge(asked: MergeParams) -> Mapping[str, Any]:
    """Merge, write and push; returns where the model is and what it is like."""
    from worker.tasks.llm.training.merging import merge

    return merge(asked)


MERGE = Tool(
    "merge-llm-adapter",
    "Merge an adapter into its base model, in the base's own precision.",
    MergeParams,
    merge,
)


def evaluate(asked: LmEvalRequest) -> Mapping[str, Any]:
    """Ask the model the tasks; returns what came of each. Raises `BadConfig` without lm-eval."""
    if find_spec(PACKAGE) is None:
        raise BadConfig("lm-eval is not installed on this machine.", fix=install(("lm-eval",)))
    from worker.tasks.llm.training.evaluating import evaluate_here

    return evaluate_here(asked)


LM_EVAL = Tool(
    "lm-eval",
    "Evaluate a model with tasks of lm-eval, as --lm-eval does after training.",
    LmEvalRequest,
    evaluate,
)


def export(asked: ExportRequest) -> Mapping[str, Any]:
    """Write the model in that form; returns where it is and what to type next."""
    from worker.tasks.llm.training.exporting import export

    return export(asked)


EXPORT = Tool("export", "Export a trained model for other programs.", ExportRequest, export)
