"""What users may set of extractive question answering. Declarations only."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Le

from worker.common import MOST, MergedLora, Training
from worker.families.text.kinds import ENCODER
from worker.families.text.params import TextSettings
from worker.params import Flag, Params


class QaParams(TextSettings, MergedLora, Training):
    """Extractive question answering."""

    model: Annotated[str, Flag("--base-model", "-m")] = ENCODER
    """Hub id or folder of the model to start from; an id may end with @ and a revision."""

    text_column: Annotated[str, Flag("--context-column")] = "context"
    """Column of the texts that the answers are in."""

    question_column: str = "question"
    """Column of the questions."""

    answer_column: Annotated[str, Flag("--answers-column")] = "answers"
    """Column of the answers: {"text": […], "answer_start": […]}, also as text in JSON or as Python
    writes it, or the answer's text alone. Empty lists say that there is no answer."""

    max_seq_length: Annotated[int, Ge(8), Le(MOST), Flag("--max-length")] = 512
    """Tokens that the model sees at once: a question and a window of the context. No more than the
    model can see."""

    max_doc_stride: Annotated[int, Ge(0), Le(MOST), Flag("--doc-stride")] = 128
    """Tokens that neighbouring windows of a long context have in common; less where no window would
    get on so."""


class Question(Params):
    """Question (--inference)."""

    context: str
    """Text that the answer is in."""

    question: str
    """Question to it."""

    trust_remote_code: bool = False
    """Run code that comes with the model."""
