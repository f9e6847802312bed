"""What users may set of preference data. Declarations only."""

from __future__ import annotations

from typing import Annotated, ClassVar

from annotated_types import Ge, Le

from worker.common import MOST
from worker.params import Flag, Params


class Pairs(Params):
    """Preference data."""

    whole: ClassVar[bool] = False
    """Whether answers are taken to their very end, all that the template writes there included."""

    rejected_text_column: Annotated[str, Flag("--rejected-column")] = "rejected"
    """Column of the worse answer; that of the better one is text_column. Where neither is given,
    chosen and rejected are found, and text with rejected_text."""


class Lengths(Params):
    """Lengths of prompts and answers."""

    max_prompt_length: Annotated[int, Ge(1), Le(MOST)] | None = None
    """Tokens that are kept of a prompt, the last ones; none keeps all."""

    max_completion_length: Annotated[int, Ge(1), Le(MOST)] | None = None
    """Tokens that are kept of an answer, the first ones; none keeps what fits behind the prompt. Of
    answers that the model writes (grpo) the most they may have; none takes 512, or half of a row
    where that is less."""
