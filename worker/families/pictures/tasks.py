"""What the tasks of pictures answer alike: which files are pictures, what they are counted in, …"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from worker.families.heads import check_learned
from worker.families.pictures import footprint
from worker.families.pictures.kinds import check_model, tells_apart
from worker.families.pictures.settings import Images, WholeImages
from worker.families.usual import shown, smaller_batches
from worker.imagefile import SUFFIXES
from worker.task import DataReport, Footprint, ModelFacts, Task

I = TypeVar("I", bound=Images)  # noqa: E741
W = TypeVar("W", bound=WholeImages)


class ImageTask(Task[I]):
    """A training on pictures."""

    extras: ClassVar[tuple[str, ...]] = ("vision",)
    media = SUFFIXES
    model_reads = ("preprocessor_config.json", "processor_config.json")
    fixed = ("trust_remote_code",)

    def trains_together(self, params: I) -> bool:
        """Return that several processes can."""
        return True

    def unit(self, params: I) -> str:
        """Count images."""
        return "images"

    def unused(self, params: I) -> Mapping[str, str]:
        """Return the settings that images have no use for."""
        kept = "images are trained with all activations kept; memory is saved by --batch-size."
        return {
            "disable_gradient_checkpointing": kept,
            "neftune_noise_alpha": "the noise is for the embeddings of words.",
            "quantization": "image models are small enough.",
        }

    def shown(self, params: I) -> Mapping[str, Any]:
        """Return the settings that decide most of what comes out."""
        return shown(params, augment=params.augment)

    def memory_advice(self, params: I) -> str:
        """Return what makes a training smaller."""
        return " or ".join([*smaller_batches(params), *self._smaller(params), "a smaller model"])

    def _smaller(self, params: I) -> list[str]:
        """Return what else makes a training smaller."""
        return []


class WholeImageTask(ImageTask[W]):
    """A training of a head that says something of a whole image."""

    numbers: ClassVar[bool] = False
    """Whether it tells a number, and no class."""

    def check_model(self, params: W, facts: ModelFacts) -> None:
        """Refuse what does not see images, and adapters where none fits."""
        check_model(params, facts)

    def footprint(
        self, params: W, facts: ModelFacts, data: DataReport, memory: float | None = None
    ) -> Footprint:
        """Return the memory by the shape of the model: see `worker.families.pictures.cost`."""
        return footprint.footprint(params, facts)

    def flops(self, params: W, facts: ModelFacts, data: DataReport) -> float:
        """Return the arithmetic of the whole training: see `worker.families.pictures.cost`."""
        return footprint.flops(params, facts, data)

    def shown(self, params: W) -> Mapping[str, Any]:
        """Return also whether an adapter is trained."""
        return {"peft": params.peft, **super().shown(params)}

    def _smaller(self, params: W) -> list[str]:
        return [] if params.peft else ["--peft"]

    def can_answer(self, facts: ModelFacts) -> None:
        """Refuse what says nothing of images."""
        tells_apart(facts)
        other = "image-classification" if self.numbers else "image-regression"
        check_learned(facts, number=self.numbers, other=other)
