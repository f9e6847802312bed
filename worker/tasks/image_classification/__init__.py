"""Image classification: which of several classes an image is of."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any, ClassVar

from worker.exchange import Answering
from worker.task import (
    DataReport,
    Field,
    Footprint,
    Measure,
    ModelFacts,
    Page,
    Run,
    Sample,
    Splits,
    Task,
    python,
)
from worker.tasks.image_classification import footprint, report
from worker.tasks.image_classification.kinds import check_model, tells_apart
from worker.tasks.image_classification.params import ImageParams, Question
from worker.tasks.image_classification.samples import sample


class ImageClassification(Task[ImageParams]):
    """Training of classifiers of images."""

    name = "image_classification"
    help = "Train a model to tell images apart."
    params = ImageParams
    also_called: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "image-binary-classification": {},
        "image-multi-class-classification": {},
    }
    extras = ("vision",)

    media = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
    question = Question
    fixed = ("trust_remote_code",)

    def sample(self, given: Mapping[str, Any]) -> Sample:
        """Return pictures of discs and of squares, in a folder for each."""
        return sample()

    def unit(self, params: ImageParams) -> str:
        """Count images."""
        return "images"

    def pipeline_tag(self, params: ImageParams) -> str:
        """Return what the model does."""
        return "image-classification"

    def unused(self, params: ImageParams) -> Mapping[str, str]:
        """Return the settings that images have no use for."""
        said = "images are trained with all activations kept; memory is saved by --batch-size."
        return {"disable_gradient_checkpointing": said}

    def check_model(self, params: ImageParams, facts: ModelFacts) -> None:
        """Refuse what does not see images, and adapters where none fits."""
        check_model(params, facts)

    def inspect(
        self, params: ImageParams, splits: Splits, facts: ModelFacts, tokenizer: Any
    ) -> DataReport:
        """Count images and classes, and find what is damaged."""
        return report.inspect(params, splits, facts)

    def footprint(
        self, params: ImageParams, facts: ModelFacts, data: DataReport, memory: float | None = None
    ) -> Footprint:
        """Return the memory by the shape of the model: see `cost`."""
        return footprint.footprint(params, facts)

    def flops(self, params: ImageParams, facts: ModelFacts, data: DataReport) -> float:
        """Return the arithmetic of the whole training: see `cost`."""
        return footprint.flops(params, facts, data)

    def shown(self, params: ImageParams) -> Mapping[str, Any]:
        """Return the settings that decide most of what comes out."""
        return {
            "peft": params.peft,
            "lr": params.peak_lr,
            "epochs": params.epochs,
            "batch_size": params.batch_size,
            "gradient_accumulation": params.gradient_accumulation,
            "augment": params.augment,
            "scheduler": params.scheduler,
            "seed": params.seed,
        }

    def memory_advice(self, params: ImageParams) -> str:
        """Return what makes a training smaller."""
        half, twice = params.batch_size // 2, params.gradient_accumulation * 2
        smaller = [f"--batch-size {half} --gradient-accumulation {twice}"] if half else []
        smaller += [] if params.peft else ["--peft"]
        return " or ".join([*smaller, "a smaller model"])

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

    def can_answer(self, facts: ModelFacts) -> None:
        """Refuse what does not tell images apart."""
        tells_apart(facts)

    def answer(self, model: str, question: Question) -> Any:
        """Return the likeliest classes of an image."""
        return super().answer(model, question)[: question.top_k]

    def answering(self, model: str, question: Question, together: int) -> Answering:
        """Return the model; it answers with all classes and their scores."""
        from worker.tasks.image_classification.training.asking import answering

        return answering(model, question, together)

    def page(self, facts: ModelFacts) -> Page:
        """Return what is asked for: an image."""
        several = facts.config.get("problem_type") == "multi_label_classification"
        fields = (Field("image", "Image", "image"),)
        return Page("image-classification", fields, "tags" if several else "labels")

    def train(self, params: ImageParams, run: Run) -> None:
        """Train as `params` say."""
        from worker.engine.lean import importing

        with importing():
            from worker.tasks.image_classification.training.train import train

        train(params, run)


TASK = ImageClassification()
