"""Asks a trained model what is on an image."""

from __future__ import annotations

from typing import Any

from PIL import Image
from transformers import pipeline

from worker.errors import BadConfig
from worker.paths import ref_of
from worker.tasks.image_classification.params import Question


def classes_of(model: str, question: Question) -> list[dict[str, Any]]:
    """Return the likeliest classes as `{"label": …, "score": …}`. Raises `BadConfig`."""
    image = question.image
    try:
        with Image.open(image) as opened:
            opened.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadConfig(
            f"{image} is no image that can be read: {error}",
            fix="--image with another file, or with a smaller copy of this one",
        ) from error
    ref, code = ref_of(model), question.trust_remote_code
    classify = pipeline(
        "image-classification", model=ref.name, revision=ref.revision, trust_remote_code=code
    )
    found: list[dict[str, Any]] = classify(image, top_k=question.top_k)
    return found
