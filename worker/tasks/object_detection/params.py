"""What users may set of object detection. Declarations only."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Le

from worker.families.pictures.settings import AboutImage, Images
from worker.params import Flag


class DetectionParams(Images):
    """Object detection."""

    model: Annotated[str, Flag("--base-model", "-m")] = "facebook/detr-resnet-50"
    """Hub id or folder of the model to start from; an id may end with @ and a revision."""

    objects_column: str = "objects"
    """Column of the objects: the boxes of each image (`bbox`: x, y, width, height in pixels, as
    COCO has them) and what is in them (`category`)."""

    image_square_size: Annotated[int, Ge(32), Le(4096)] = 600
    """Longest side of an image as the model sees it, in points."""

    augment: bool = True
    """Show each image cropped, mirrored and in other colours every time it is learned from."""


class Question(AboutImage):
    """Question (--inference)."""

    threshold: Annotated[float, Ge(0), Le(1)] = 0.5
    """Score from which a box is told."""
