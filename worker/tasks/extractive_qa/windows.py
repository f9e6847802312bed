"""How a long context is divided: windows that overlap, each behind the question. Light."""

from __future__ import annotations

import math
from dataclasses import dataclass

LONGEST_QUESTION = 64
"""Tokens of a question that are read at most, as in BERT's script for SQuAD (Devlin et al. 2018);
never more than half of what the model sees."""

MOST_SHARED = 0.75
"""Share of a window that may be in the window before it too, so that each gets on."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Sizes in tokens."""

    length: int
    """What the model sees: special tokens, question and a part of the context."""

    special: int
    question: int
    """The most of a question that is read."""

    overlap: int
    """What a window has of the one before it."""

    @classmethod
    def of(cls, length: int, special: int, overlap: int) -> Windows:
        """Return windows of `length` that overlap by `overlap`, or by less where that is too much.

        A window must get on: with 128 of 128 tokens, AutoTrain's defaults, none would.
        """
        free = length - special
        question = min(LONGEST_QUESTION, free // 2)
        most = int((free - question) * MOST_SHARED)
        return cls(length, special, question, min(overlap, most))

    def room(self, question: int) -> int:
        """Return what a question of so many tokens leaves for the context."""
        return self.length - self.special - min(question, self.question)

    def count(self, question: int, context: int) -> int:
        """Return how many windows a context of so many tokens has."""
        room = self.room(question)
        return 1 + max(0, math.ceil((context - room) / (room - self.overlap)))
