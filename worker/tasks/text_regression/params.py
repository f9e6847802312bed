"""What users may set of text regression. Declarations only."""

from __future__ import annotations

from typing import Annotated

from worker.common import MergedLora, Training
from worker.families.text.examples import TextAndTarget
from worker.families.text.kinds import ENCODER
from worker.params import Flag, Params


class TextRegressionParams(TextAndTarget, MergedLora, Training):
    """Text regression."""

    model: Annotated[str, Flag("--base-model", "-m")] = ENCODER
    """Hub id or folder of the model to start from; an id may end with @ and a revision."""

    target_column: Annotated[str, Flag("--label-column")] = "target"
    """Column of the numbers; also found where it is called label, labels or class."""


class Question(Params):
    """Question (--inference)."""

    text: str
    """Text to tell the number of."""

    trust_remote_code: bool = False
    """Run code that comes with the model."""
