"""What users may set of text classification. Declarations only."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le

from worker.common import MOST, MergedLora, Training
from worker.families.text.examples import TextAndTarget
from worker.families.text.kinds import ENCODER
from worker.params import Flag, Params

Problem = Literal["single_label_classification", "multi_label_classification"]


class TextClassificationParams(TextAndTarget, MergedLora, Training):
    """Text classification."""

    model: Annotated[str, Flag("--base-model", "-m")] = ENCODER
    """Hub id or folder of the model to start from; an id may end with @ and a revision."""

    target_column: Annotated[str, Flag("--label-column")] = "target"
    """Column of the classes; also found where it is called label, labels or class."""

    problem_type: Problem | None = None
    """Whether a text is of one class or of several, in the words of the model's configuration. None
    looks at the cells: lists, also as JSON or Python write them, are several."""


class Question(Params):
    """Question (--inference)."""

    text: str
    """Text to tell the classes of."""

    top_k: Annotated[int, Ge(1), Le(MOST)] = 5
    """Classes to show, the likeliest first."""

    trust_remote_code: bool = False
    """Run code that comes with the model."""
