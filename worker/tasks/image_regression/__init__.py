"""Image regression: a number for an image, such as how good a photo is."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from worker.exchange import Answering
from worker.families.numbers import MEASURES
from worker.families.pictures.settings import AboutImage
from worker.families.pictures.tasks import WholeImageTask
from worker.task import DataReport, Field, Measure, ModelFacts, Page, Run, Sample, Splits, python
from worker.tasks.image_regression import report
from worker.tasks.image_regression.params import ImageRegressionParams
from worker.tasks.image_regression.samples import sample


class ImageRegression(WholeImageTask[ImageRegressionParams]):
    """Training of models that give images a number."""

    name = "image_regression"
    help = "Train a model to give images a number."
    params = ImageRegressionParams
    also_called: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "image-single-column-regression": {},
        "image-scoring": {},
    }
    question = AboutImage
    numbers = True

    def sample(self, given: Mapping[str, Any]) -> Sample:
        """Return pictures of shapes, and a list that says how large each is."""
        return sample()

    def pipeline_tag(self, params: ImageRegressionParams) -> str:
        """Return what the model is loaded as; the Hub has no word for a number of an image."""
        return "image-classification"

    def inspect(
        self, params: ImageRegressionParams, splits: Splits, facts: ModelFacts, tokenizer: Any
    ) -> DataReport:
        """Count images, and tell how their numbers are spread."""
        return report.inspect(params, splits)

    def measures(self, params: ImageRegressionParams) -> tuple[Measure, ...]:
        """Return how far off the model is."""
        return MEASURES

    def try_it(self, params: ImageRegressionParams, model: str) -> str:
        """Return a question to the model."""
        return f"hubtrain image-regression --inference --model {shlex.quote(model)} --image …"

    def loading(self, params: ImageRegressionParams, model: str, *, adapter: bool) -> str:
        """Return the Python that asks the model for an image's number."""
        return python(
            "from transformers import pipeline",
            "",
            f'score = pipeline("image-classification", model={json.dumps(model)})',
            'score("image.jpg")[0]["score"]',
        )

    def answering(self, model: str, question: AboutImage, together: int) -> Answering:
        """Return the model; it answers with the number under the name of what it is."""
        from worker.tasks.image_regression.training.inference import answering

        return answering(model, question, together)

    def page(self, facts: ModelFacts) -> Page:
        """Return what is asked for: an image."""
        return Page("image-classification", (Field("image", "Image", "image"),), "number")

    def training(self) -> Callable[[ImageRegressionParams, Run], object]:
        """Return what trains."""
        from worker.tasks.image_regression.training.train import train

        return train


TASK = ImageRegression()
