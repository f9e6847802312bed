"""Asks a trained model for the number of an image."""

from __future__ import annotations

from typing import Any

from worker.exchange import Answering
from worker.families.pictures.settings import AboutImage
from worker.families.pictures.training import asking
from worker.families.pictures.training.shrinking import Shrinking


def answering(model: str, question: AboutImage, together: int) -> Answering:
    """Return the model, which answers each image with its number under the name of what it is."""
    score = asking.loaded("image-classification", model, question)
    shrinking = Shrinking(score.image_processor)
    found = asking.answering(score, together, shrinking, function_to_apply="none")
    return asking.each(found, _numbers)


def _numbers(said: list[dict[str, Any]]) -> dict[str, float]:
    return {one["label"]: one["score"] for one in said}
