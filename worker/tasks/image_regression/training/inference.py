"""Asks a trained model for the number of an image."""

from __future__ import annotations

from typing import Any

from worker.exchange import Answering
from worker.families.pictures.settings import AboutImage
from worker.families.pictures.training import inference
from worker.families.pictures.training.shrinking import Shrinking


def answering(model: str, question: AboutImage, together: int) -> Answering:
    """Return the model, which answers each image with its number under the name of what it is."""
    score = inference.loaded("image-classification", model, question)
    shrinking = Shrinking(score.image_processor)
    found = inference.answering(score, together, shrinking, function_to_apply="none")
    return inference.each(found, _numbers)


def _numbers(said: list[dict[str, Any]]) -> dict[str, float]:
    return {one["label"]: one["score"] for one in said}
