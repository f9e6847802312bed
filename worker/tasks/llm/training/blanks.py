"""What a masked model fills into texts of the data, for its card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from worker.tasks.llm.tokens import Tokens
from worker.tasks.llm.training.masking import Hiding
from worker.tasks.llm.training.samples import LONGEST_ANSWER, Asking

EACH = 7
"""One in so many tokens is hidden: about as many as in training."""

FIRST = 3
"""Place of the first one that is."""


@dataclass(frozen=True, slots=True)
class Blanks(Asking):
    """What is hidden in the beginnings of texts, as the model would fill it in."""

    about = "The likeliest token for each hidden one, in texts of the data it was judged by."

    tokenizer: Any
    hide: Hiding
    texts: Sequence[tuple[int, ...]]

    @property
    def asked(self) -> Sequence[tuple[str, str]]:
        """Texts with tokens hidden, and as they are."""
        decode = self.tokenizer.decode
        return [(decode(self._hidden(ids)), decode(list(ids))) for ids in self.texts]

    def answers(self, model: Any) -> Iterator[str]:
        """Yield each text with the likeliest tokens filled in."""
        for text in self.texts:
            ids = torch.tensor([self._hidden(text)], device=model.device)
            likeliest = model(input_ids=ids).logits.argmax(-1)
            filled = torch.where(ids == self.hide.mask, likeliest, ids)
            yield self.tokenizer.decode(filled[0].tolist())

    def _hidden(self, ids: Sequence[int]) -> list[int]:
        plain = [place for place, token in enumerate(ids) if token not in self.hide.special]
        hidden = set(plain[FIRST::EACH] or plain[-1:])
        return [self.hide.mask if i in hidden else token for i, token in enumerate(ids)]


def blanks(tokenizer: Any, hide: Hiding, examples: Sequence[Tokens], count: int) -> Blanks:
    """Return the beginnings of the first texts that differ, at most `count`."""
    begun = (tuple(one.ids[:LONGEST_ANSWER]) for one in examples if len(one) > FIRST)
    return Blanks(tokenizer, hide, list(dict.fromkeys(begun))[:count])
