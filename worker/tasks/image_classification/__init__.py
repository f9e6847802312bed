"""Image classification: which of several classes an image is of, or which several of them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from worker.exchange import Answering
from worker.families.pictures.tasks import WholeImageTask
from worker.task import DataReport, Field, Measure, ModelFacts, Page, Run, Sample, Splits, python
from worker.tasks.image_classification import report
from worker.tasks.image_classification.params import Ignored, ImageParams, Question
from worker.tasks.image_classification.samples import sample


class ImageClassification(WholeImageTask[ImageParams]):
    """Training of classifiers of images."""

    name = "image_classification"
    help = "Train a model to tell images apart."
    params = ImageParams
    also_called: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "image-binary-classification": {},
        "image-multi-class-classification": {},
    }
    ignored = Ignored
    question = Question

    def sample(self, given: Mapping[str, Any]) -> Sample:
        """Return pictures of discs and of squares, in a folder for each."""
        return sample()

    def pipeline_tag(self, params: ImageParams) -> str:
        """Return what the model does."""
        return "image-classification"

    def inspect(
        self, params: ImageParams, splits: Splits, facts: ModelFacts, tokenizer: Any
    ) -> DataReport:
        """Count images and classes, and find what is damaged."""
        return report.inspect(params, splits, facts)

    def measures(self, params: ImageParams) -> tuple[Measure, ...]:
        """Return how often the model is right, then how sure it is of it."""
        return (Measure("valid_accuracy", "higher"), Measure("valid_loss"), Measure("loss"))

    def try_it(self, params: ImageParams, model: str) -> str:
        """Return a question to the model."""
        return f"hubtrain image-classification --inference --model {shlex.quote(model)} --image …"

    def loading(self, params: ImageParams, model: str, *, adapter: bool) -> str:
        """Return the Python that asks the model what is on an image."""
        return python(
            "from transformers import pipeline",
            "",
            f'classify = pipeline("image-classification", model={json.dumps(model)})',
            'classify("image.jpg")',
        )

    def answer(self, model: str, question: Question) -> Any:
        """Return the likeliest classes of an image."""
        return super().answer(model, question)[: question.top_k]

    def answering(self, model: str, question: Question, together: int) -> Answering:
        """Return the model; it answers with all classes and their scores."""
        from worker.tasks.image_classification.training.inference import answering

        return answering(model, question, together)

    def page(self, facts: ModelFacts) -> Page:
        """Return what is asked for: an image."""
        several = facts.config.get("problem_type") == "multi_label_classification"
        fields = (Field("image", "Image", "image"),)
        return Page("image-classification", fields, "tags" if several else "labels")

    def training(self) -> Callable[[ImageParams, Run], object]:
        """Return what trains."""
        from worker.tasks.image_classification.training.train import train

        return train


TASK = ImageClassification()
