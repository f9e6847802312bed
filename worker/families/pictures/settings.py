"""What users may set of trainings on pictures, whatever is learned of them. Declarations only."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import model_validator

from worker.common import (
    Accumulation,
    BatchSize,
    Data,
    EarlyStopping,
    Epochs,
    MergedLora,
    Rate,
    Training,
    TransformersSettings,
)
from worker.params import Consent, Flag, Params


class Images(Data, TransformersSettings, EarlyStopping):
    """Images."""

    image_column: str = "image"
    """Column of the images: their bytes, or paths of files beside the table."""

    augment: bool = True
    """Show each image cropped and mirrored a little differently every time it is learned from."""

    trust_remote_code: Annotated[bool, Consent()] = False
    """Run code that comes with the model."""

    data_path: Annotated[str, Flag("--data", "--dataset", "-d")]
    """Folder of images with a list of them (metadata.jsonl), a table of images or of their paths
    (CSV, JSONL, Parquet), a zip, or a Hub dataset."""

    valid_split: str | None = "0.2"
    """Split to evaluate on, or a share of the images to hold out, as in 0.05."""

    epochs: Epochs = 3
    batch_size: BatchSize = 8
    """Images of a forward pass."""

    gradient_accumulation: Accumulation = 1
    lr: Rate = None
    """Peak learning rate; none takes 5e-5."""

    @model_validator(mode="after")
    def _small_enough(self) -> Self:
        if self.quantization:
            raise ValueError("quantization is for language models; image models are small enough")
        return self

    @property
    def usual_lr(self) -> float:
        """The learning rate where none is given."""
        return 5e-5


class WholeImages(Images, MergedLora, Training):
    """Images."""

    model: Annotated[str, Flag("--base-model", "-m")] = "google/vit-base-patch16-224"
    """Hub id or folder of the model to start from; an id may end with @ and a revision."""

    lr: Rate = None
    """Peak learning rate; none takes 5e-5, or 5e-4 for an adapter."""

    @property
    def usual_lr(self) -> float:
        """The learning rate where none is given. An adapter, begun at zero, needs more."""
        return 5e-4 if self.peft else 5e-5


class AboutImage(Params):
    """Question (--inference)."""

    image: str
    """Image file to ask about."""

    trust_remote_code: bool = False
    """Run code that comes with the model."""
