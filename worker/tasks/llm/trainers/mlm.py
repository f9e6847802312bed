"""Masked language modelling: tokens are hidden, and learned from all that stands around them.

As in BERT (arXiv 1810.04805, section 3.1): of the tokens that are to be learned, 80% are hidden,
10% are replaced by others and 10% stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from annotated_types import Gt, Lt

from worker.importing import importing
from worker.params import Flag
from worker.task import DataReport, Footprint, ModelFacts, Run, Sample
from worker.tasks.llm.heads.masked import MASKED
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.samples import SMALL, texts
from worker.tasks.llm.tokens import Tokens, framed
from worker.tasks.llm.trainers._sampling import Sampling
from worker.tasks.llm.trainers._texts import TextTrainer


class MlmParams(Sampling):
    """Trainer mlm."""

    mlm_probability: Annotated[float, Gt(0), Lt(1), Flag("--mask-probability")] = 0.15
    """Share of the tokens that are hidden and learned (mlm)."""


class Mlm(TextTrainer[MlmParams]):
    """Learns hidden tokens of whole texts; what does not fit into a row goes on in the next."""

    name = "mlm"
    help = "learns tokens that are hidden in a text, for models such as BERT"
    settings = MlmParams
    head = MASKED
    continues = True
    ends_texts = False
    unused: ClassVar[Mapping[str, str]] = {
        "add_eos_token": "texts begin and end as the tokenizer of a masked model has it.",
        "padding": "a masked model is told what is padding, so its side changes nothing.",
    }

    def sample(self) -> Sample:
        """Return texts, for a model that fills gaps."""
        small = {**SMALL, "model": "google-bert/bert-base-uncased", "peft": False}
        return Sample.of_rows("texts.jsonl", texts(), **small)

    def learns(self, params: LlmParams) -> str:
        """Return the share of the tokens."""
        return f"{100 * self.own(params).mlm_probability:g}% of all tokens (--mlm-probability)"

    def pieces(self, tokens: Tokens, capacity: int, special: frozenset[int]) -> list[Tokens]:
        """Return an example in pieces that each begin and end as a text does."""
        return framed(tokens, capacity, special)

    def footprint(
        self, params: LlmParams, facts: ModelFacts, data: DataReport, memory: float | None = None
    ) -> Footprint:
        """Return the memory; only hidden tokens are predicted."""
        from worker.tasks.llm import cost

        return cost.footprint(params, facts, memory, self.own(params).mlm_probability)

    def train(self, params: LlmParams, run: Run) -> None:
        """Train on `run.data`, tell `run.emit` how it goes, leave the model in `run.output`."""
        with importing():
            from worker.tasks.llm.training.masked import train

        train(params, run)


TRAINER = Mlm()
