"""What is done with language models beside training: `hubtrain tools`, and `hubtrain export`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.task import Tool
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


def export(asked: ExportRequest) -> Mapping[str, Any]:
    """Write the model in that form; returns where it is and what to type next."""
    from worker.tasks.llm.training.exporting import export

    return export(asked)


EXPORT = Tool("export", "Export a trained model for other programs.", ExportRequest, export)
