"""Pairs as tensors: answers side by side in rows without much padding, and what is scored of them.

A batch is so many pairs, however long they are. Their answers, each behind its prompt, share rows
as wide as the longest; they cannot see one another (see `worker.tasks.llm.training.batches`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import Dataset

from worker.tasks.llm.packing import training_rows
from worker.tasks.llm.pairs.data import PairTokens
from worker.tasks.llm.tokens import Tokens

NOBODY = -1
"""Owner of a token that is not scored."""

Reference = tuple[float, float]
"""Log-probabilities of a chosen and a rejected answer in the reference model."""


class PairRows(Dataset[tuple[PairTokens, Reference]]):
    """Pairs, each with what the reference model makes of it; zeros where there is none."""

    def __init__(self, pairs: Sequence[PairTokens]) -> None:
        self.pairs = pairs
        self.references: Sequence[Reference] = [(0.0, 0.0)] * len(pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, i: int) -> tuple[PairTokens, Reference]:
        return self.pairs[i], self.references[i]


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Puts sequences into rows side by side; matrices are (rows, tokens)."""

    pad: int
    """Id that fills up shorter rows."""

    packed: bool = True
    """Whether answers share rows; otherwise each has its own."""

    left: bool = False
    """Which side is filled up."""

    flat: bool = False
    """Whether all rows come as one: flash attention heeds positions in single rows only."""

    def rows(self, parts: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return `input_ids`, `position_ids`, `owners` and `answers` of what `part` made.

        `owners` tells of each scored token whose it is, and `answers` which of them are of the
        answer itself.
        """
        lengths = [part.shape[1] for part in parts]
        width = sum(lengths) if self.flat else max(lengths)
        places = training_rows(lengths, width, packing=self.packed or self.flat)
        made = [self._row([parts[i] for i in row], width) for row in places]
        ids, positions, owners, answers = torch.stack(made, 1)
        return {
            "input_ids": ids,
            "position_ids": positions,
            "owners": owners,
            "answers": answers.bool(),
        }

    def _row(self, parts: Sequence[torch.Tensor], width: int) -> torch.Tensor:
        gap = width - sum(part.shape[1] for part in parts)
        filling = torch.stack([
            torch.full((gap,), self.pad),
            torch.arange(gap),
            torch.full((gap,), NOBODY),
            torch.zeros(gap, dtype=torch.long),
        ])  # fmt: skip
        return torch.cat([filling, *parts] if self.left else [*parts, filling], 1)


@dataclass(frozen=True, slots=True)
class CollatePairs(SideBySide):
    """Makes a batch of pairs; in vectors chosen answers come first."""

    prompts: bool = False
    """Whether the prompt before a chosen answer is scored as well."""

    def __call__(self, pairs: Sequence[tuple[PairTokens, Reference]]) -> dict[str, Any]:
        """Return what `rows` does, the owners by their places in the vectors, and `references`."""
        sides = [[p.chosen for p, _ in pairs], [p.rejected for p, _ in pairs]]
        parts = [
            part(tokens, len(pairs) * side + i, prompt=self.prompts and side == 0)
            for side, answers in enumerate(sides)
            for i, tokens in enumerate(answers)
        ]
        references = torch.tensor([r for _, r in pairs]).T.reshape(-1)
        return {**self.rows(parts), "references": references}


def part(tokens: Tokens, owner: int, *, prompt: bool = False) -> torch.Tensor:
    """Return ids, positions, owners and answers of one sequence, each a row."""
    ids = torch.frombuffer(tokens.ids, dtype=torch.int32).long()
    answer = torch.frombuffer(bytearray(tokens.learned), dtype=torch.uint8).bool()
    scored = torch.ones_like(answer) if prompt else answer.clone()
    scored[0] = False  # nothing stands before it that could predict it
    owners = torch.where(scored, owner, NOBODY)
    return torch.stack([ids, torch.arange(len(ids)), owners, (answer & scored).long()])
