"""Causal language modelling: every token of a text is learned."""

from __future__ import annotations

from worker.task import Sample
from worker.tasks.llm.samples import SMALL, texts
from worker.tasks.llm.trainers._sampling import Sampling
from worker.tasks.llm.trainers._texts import TextTrainer


class Default(TextTrainer[Sampling]):
    """Learns whole texts; what does not fit into a row goes on in the next."""

    name = "default"
    also_called = ("generic",)
    help = "learns every token of a text"
    settings = Sampling
    continues = True

    def sample(self) -> Sample:
        """Return texts."""
        return Sample.of_rows("texts.jsonl", texts(), **SMALL)


TRAINER = Default()
