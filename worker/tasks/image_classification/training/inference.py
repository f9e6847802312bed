"""Asks a trained model what is on an image."""

from __future__ import annotations

from worker.exchange import Answering
from worker.families.pictures.training import inference
from worker.families.pictures.training.shrinking import Shrinking
from worker.tasks.image_classification.params import Question


def answering(model: str, question: Question, together: int) -> Answering:
    """Return the model, which answers each image with `[{"label": …, "score": …}, …]`.

    All classes are there, the likeliest first.
    """
    classify = inference.loaded("image-classification", model, question)
    shrinking, every = Shrinking(classify.image_processor), classify.model.config.num_labels
    return inference.answering(classify, together, shrinking, top_k=every)
