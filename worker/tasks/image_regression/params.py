"""What users may set of image regression. Declarations only."""

from __future__ import annotations

from typing import Annotated

from worker.families.pictures.settings import WholeImages
from worker.params import Flag


class ImageRegressionParams(WholeImages):
    """Image regression."""

    target_column: Annotated[str, Flag("--label-column")] = "target"
    """Column of the numbers; also found when it is called label, labels or score."""
