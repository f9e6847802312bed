"""Causal language modelling: every token of a text is learned."""

from __future__ import annotations

from worker.tasks.llm.trainers._sampling import Sampling
from worker.tasks.llm.trainers._texts import TextTrainer


class Default(TextTrainer[Sampling]):
    """Learns whole texts; what does not fit into a row goes on in the next."""

    name = "default"
    also_called = ("generic",)
    help = "learns every token of a text"
    settings = Sampling
    continues = True


TRAINER = Default()
