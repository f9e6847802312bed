"""Asks a trained model what is on an image."""

from __future__ import annotations

from typing import Any

from PIL import UnidentifiedImageError
from transformers import pipeline

from worker.errors import BadConfig


def classes_of(model: str, image: str, most: int) -> list[dict[str, Any]]:
    """Return the likeliest classes as `{"label": …, "score": …}`. Raises `BadConfig`."""
    classify = pipeline("image-classification", model=model)
    try:
        found: list[dict[str, Any]] = classify(image, top_k=most)
    except (UnidentifiedImageError, ValueError) as error:
        raise BadConfig(f"{image} is no image that can be read: {error}") from error
    return found
