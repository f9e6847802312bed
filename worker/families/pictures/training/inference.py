"""Inference on images, in batches, through the pipeline that the model is pushed for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from PIL import Image
from transformers import pipeline

from worker.answers import in_places, parts
from worker.engine.source import loading
from worker.errors import HubtrainError
from worker.exchange import Answering
from worker.families.pictures.settings import AboutImage
from worker.families.pictures.training.shrinking import Shrinking
from worker.families.pictures.training.store import opened
from worker.paths import ref_of


def loaded(does: str, model: str, question: AboutImage) -> Any:
    """Return the pipeline of a model that `does` something, by the Hub's word for it."""
    ref, code = ref_of(model), question.trust_remote_code
    with loading(ref.name):
        return pipeline(does, model=ref.name, revision=ref.revision, trust_remote_code=code)


def answering(
    asked: Any, together: int, shrinking: Shrinking | None = None, **how: Any
) -> Answering:
    """Return a pipeline as it answers each image, asked with the settings in `how`.

    With `shrinking` images are opened as they were in training, which answers must not be in
    pixels for.
    """

    def answers(images: list[Image.Image]) -> Any:
        return asked(images, batch_size=together, **how)

    def answered(questions: Sequence[AboutImage]) -> Iterator[Any]:
        for some in parts(questions, together):
            yield from in_places([opened(one.image, shrinking) for one in some], answers)

    return answered


def each(answering: Answering, made: Callable[[Any], Any]) -> Answering:
    """Return what is `made` of another's answers; faults stay as they are."""

    def answered(questions: Sequence[Any]) -> Iterator[Any]:
        for one in answering(questions):
            yield one if isinstance(one, HubtrainError) else made(one)

    return answered
