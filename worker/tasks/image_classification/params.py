"""What users may set of image classification. Declarations only."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Le

from worker.common import MOST
from worker.families.pictures.settings import AboutImage, WholeImages
from worker.params import Flag, Params


class ImageParams(WholeImages):
    """Image classification."""

    target_column: Annotated[str, Flag("--label-column")] = "target"
    """Column of the classes, or of lists of them where an image may be of several; also found when
    it is called label or labels."""

    data_path: Annotated[str, Flag("--data", "--dataset", "-d")]
    """Folder with a folder of images for each class, a table of images or their paths (CSV, JSONL,
    Parquet), a zip, or a Hub dataset."""

    valid_split: str | None = "0.2"
    """Split to evaluate on, or a share of each class's images to hold out, as in 0.05."""


class Ignored(Params):
    """Read and not used."""

    pretrain: bool = True
    """training always begins with the weights that the model brings."""


class Question(AboutImage):
    """Question (--inference)."""

    top_k: Annotated[int, Ge(1), Le(MOST)] = 5
    """Classes to show, the likeliest first."""
