"""What users may set of learning vectors of sentences. Declarations only."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import model_validator

from worker.common import Rate
from worker.families.text.params import TextSettings
from worker.params import Flag, Params
from worker.tasks.sentence_transformers.learning import LEARNING, Learning

Trainer = Literal["pair", "pair_class", "pair_score", "triplet", "qa"]
TRAINERS: tuple[Trainer, ...] = get_args(Trainer)


class SentenceParams(TextSettings):
    """Sentence transformers."""

    model: Annotated[str, Flag("--base-model", "-m")] = "microsoft/mpnet-base"
    """Hub id or folder of the model to start from, of sentences or any other that reads text; an id
    may end with @ and a revision."""

    trainer: Trainer = "pair_score"
    """What is learned from: pairs that belong together (pair), questions and answers (qa), pairs
    with one that does not (triplet), with a score (pair_score), or with a class (pair_class)."""

    sentence1_column: str = "sentence1"
    """Column of the first sentences; also found when it is called anchor, query or premise."""

    sentence2_column: str = "sentence2"
    """Column of the second; also found when it is called positive, answer or hypothesis."""

    sentence3_column: str | None = None
    """Column of the sentences that do not belong to the first (triplet); none looks for negative.
    """

    target_column: str | None = None
    """Column of the scores or classes; none looks for score, label and the like."""

    lr: Rate = None
    """Peak learning rate; none takes 3e-5."""

    @model_validator(mode="after")
    def _trained_whole(self) -> Self:
        if self.quantization:
            raise ValueError("quantization is for larger models: those of sentences are small")
        if self.low_rank and self.learns.target == "class":
            raise ValueError(f"{self.optimizer} does not train the head of the classes")
        return self

    @property
    def usual_lr(self) -> float:
        """The learning rate where none is given."""
        return 3e-5

    @property
    def learns(self) -> Learning:
        """What the trainer learns from."""
        return LEARNING[self.trainer]


class Question(Params):
    """Question (--inference)."""

    text: str
    """Text to make a vector of."""

    other: str | None = None
    """Another one: how alike both are is told."""

    trust_remote_code: bool = False
    """Run code that comes with the model."""
