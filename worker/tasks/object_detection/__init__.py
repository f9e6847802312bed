"""Object detection: what is on an image, and where: boxes with classes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from worker.exchange import Answering
from worker.families.pictures.tasks import ImageTask
from worker.splits import Row
from worker.task import (
    DataReport,
    Field,
    Footprint,
    Measure,
    ModelFacts,
    Page,
    Region,
    Run,
    Sample,
    Splits,
    python,
)
from worker.tasks.object_detection import cost, report
from worker.tasks.object_detection.examples import drawn
from worker.tasks.object_detection.kinds import check_model
from worker.tasks.object_detection.params import DetectionParams, Question
from worker.tasks.object_detection.samples import sample


class ObjectDetection(ImageTask[DetectionParams]):
    """Training of detectors of objects."""

    name = "object_detection"
    help = "Train a model to find objects on images."
    params = DetectionParams
    also_called: ClassVar[Mapping[str, Mapping[str, Any]]] = {"image-object-detection": {}}
    extras = ("detection",)
    question = Question
    fixed = ("threshold",)

    def sample(self, given: Mapping[str, Any]) -> Sample:
        """Return pictures of shapes, and a list that says where they are."""
        return sample()

    def trains_together(self, params: DetectionParams) -> bool:
        """Train in one process.

        transformers' losses (5.23) divide by the boxes of all processes' mean, and by the number of
        processes once more: the boxes would count several times as much, beside the classes.
        """
        return False

    def regions(self, row: Row, said: Mapping[str, Any]) -> Sequence[Region]:
        """Return the boxes of a row."""
        return drawn(row, str(said.get("objects_column") or ""))

    def pipeline_tag(self, params: DetectionParams) -> str:
        """Return what the model does."""
        return "object-detection"

    def check_model(self, params: DetectionParams, facts: ModelFacts) -> None:
        """Refuse what does not find objects."""
        check_model(facts)

    def can_answer(self, facts: ModelFacts) -> None:
        """Refuse what does not find objects."""
        check_model(facts)

    def inspect(
        self, params: DetectionParams, splits: Splits, facts: ModelFacts, tokenizer: Any
    ) -> DataReport:
        """Count images, boxes and classes, and find boxes that are none."""
        return report.inspect(params, splits, facts)

    def footprint(
        self,
        params: DetectionParams,
        facts: ModelFacts,
        data: DataReport,
        memory: float | None = None,
    ) -> Footprint:
        """Return the memory by the size of model and images: see `cost`."""
        return cost.footprint(params, facts)

    def flops(self, params: DetectionParams, facts: ModelFacts, data: DataReport) -> float:
        """Return the arithmetic of the whole training: see `cost`."""
        return cost.flops(params, facts, data)

    def shown(self, params: DetectionParams) -> Mapping[str, Any]:
        """Return also how large images are shown."""
        return {**super().shown(params), "image_square_size": params.image_square_size}

    def memory_advice(self, params: DetectionParams) -> str:
        """Return what makes a training smaller: smaller images too."""
        smaller = params.image_square_size * 3 // 4
        return f"{super().memory_advice(params)} or --image-square-size {smaller}"

    def measures(self, params: DetectionParams) -> tuple[Measure, ...]:
        """Return how well boxes are found, as COCO judges it, then the loss."""
        return (
            Measure("valid_map", "higher"),
            Measure("valid_map_50", "higher"),
            Measure("valid_loss"),
            Measure("loss"),
        )

    def try_it(self, params: DetectionParams, model: str) -> str:
        """Return a question to the model."""
        return f"hubtrain object-detection --inference --model {shlex.quote(model)} --image …"

    def loading(self, params: DetectionParams, model: str, *, adapter: bool) -> str:
        """Return the Python that asks the model what is on an image, and where."""
        return python(
            "from transformers import pipeline",
            "",
            f'detect = pipeline("object-detection", model={json.dumps(model)})',
            'detect("image.jpg", threshold=0.5)',
        )

    def answering(self, model: str, question: Question, together: int) -> Answering:
        """Return the model; it answers with boxes, the surest first."""
        from worker.tasks.object_detection.training.inference import answering

        return answering(model, question)

    def page(self, facts: ModelFacts) -> Page:
        """Return what is asked for: an image."""
        return Page("object-detection", (Field("image", "Image", "image"),), "boxes")

    def training(self) -> Callable[[DetectionParams, Run], object]:
        """Return what trains."""
        from worker.tasks.object_detection.training.train import train

        return train


TASK = ObjectDetection()
