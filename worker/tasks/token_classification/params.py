"""What users may set of token classification. Declarations only."""

from __future__ import annotations

from typing import Annotated

from worker.common import MergedLora, Training
from worker.families.text.kinds import ENCODER
from worker.families.text.params import TextSettings
from worker.params import Flag, Params


class TokenParams(TextSettings, MergedLora, Training):
    """Token classification."""

    model: Annotated[str, Flag("--base-model", "-m")] = ENCODER
    """Hub id or folder of the model to start from; an id may end with @ and a revision."""

    tokens_column: Annotated[str, Flag("--text-column")] = "tokens"
    """Column of the words of a sentence: lists, or text that is a list as JSON or Python write it.
    """

    tags_column: Annotated[str, Flag("--target-column", "--label-column")] = "tags"
    """Column of the tags of the words, as many as there are words; numbers where the data declare
    names for them. Schemes such as IOB2 are recognised."""


class Question(Params):
    """Question (--inference)."""

    text: str
    """Text to find entities in."""

    trust_remote_code: bool = False
    """Run code that comes with the model."""
