"""Asks a trained model what is on an image, and where."""

from __future__ import annotations

from typing import Any

from worker.exchange import Answering
from worker.families.pictures.training import inference
from worker.tasks.object_detection.params import Question


def answering(model: str, question: Question) -> Answering:
    """Return the model, which answers each image with boxes, the surest first.

    One is `{"label": …, "score": …, "box": {"xmin", "ymin", "xmax", "ymax"}}`, in pixels.
    """
    detect = inference.loaded("object-detection", model, question)
    found = inference.answering(detect, 1, threshold=question.threshold)  # they differ in shape
    return inference.each(found, _surest_first)


def _surest_first(said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(said, key=lambda one: -float(one["score"]))
