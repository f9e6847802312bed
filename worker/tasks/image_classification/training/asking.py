"""Asks a trained model what is on images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from transformers import pipeline

from worker.answers import in_places, parts
from worker.errors import BadConfig
from worker.exchange import Answering
from worker.paths import ref_of
from worker.tasks.image_classification.params import Question


def answering(model: str, question: Question, together: int) -> Answering:
    """Return the model, which answers each image with `[{"label": …, "score": …}, …]`.

    All classes are there, the likeliest first.
    """
    ref, code = ref_of(model), question.trust_remote_code
    classify = pipeline(
        "image-classification", model=ref.name, revision=ref.revision, trust_remote_code=code
    )
    classes = classify.model.config.num_labels

    def answers(images: list[Image.Image]) -> Any:
        return classify(images, batch_size=together, top_k=classes)

    def answered(questions: Sequence[Question]) -> Iterator[Any]:
        for some in parts(questions, together):
            yield from in_places([_opened(one.image) for one in some], answers)

    return answered


def _opened(name: str) -> Image.Image | BadConfig:
    """Return the image in a file, or why there is none."""
    if not Path(name).is_file():
        return BadConfig(f"There is no image {name}.", fix="--image FILE")
    try:
        with Image.open(name) as opened:
            return opened.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return BadConfig(
            f"{name} is no image that can be read: {error}",
            fix="--image with another file, or with a smaller copy of this one",
        )
