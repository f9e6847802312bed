"""Causal language modelling: every token of a text is learned."""

from __future__ import annotations

from worker.params import Params
from worker.tasks.llm.trainer import Trainer


class Default(Trainer[Params]):
    """Learns whole texts; what does not fit into a row goes on in the next."""

    name = "default"
    also_called = ("generic",)
    help = "learns every token of a text"
    settings = Params
    continues = True


TRAINER = Default()
