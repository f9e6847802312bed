"""Training rows as tensors: whole examples side by side that cannot see one another.

Isolation rests on `position_ids` that start again at 0 with each example; transformers builds the
mask from them (`masking_utils.find_packed_sequence_indices`). It is lost in silence when an
attention mask is passed as well, so none ever is: padding is one more example of its own. It is
also lost while the model keeps a cache, so `config.use_cache` must be off.
`keeps_apart` proves it for the model at hand, whichever attention it has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch.utils.data import Dataset

from worker.engine import attention
from worker.engine.loss import IGNORED
from worker.tasks.llm.packing import training_rows
from worker.tasks.llm.tokens import Tokens


class TrainingRows(Dataset[list[Tokens]]):
    """Rows of examples, by their places."""

    def __init__(self, examples: Sequence[Tokens], rows: Sequence[Sequence[int]]) -> None:
        self.examples = examples
        self.rows = rows

    @classmethod
    def laid_out(cls, examples: Sequence[Tokens], width: int, *, packing: bool) -> TrainingRows:
        """Return rows of at most `width` tokens; without `packing` one for each example."""
        return cls(examples, training_rows([*map(len, examples)], width, packing))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> list[Tokens]:
        return [self.examples[example] for example in self.rows[i]]


@dataclass(frozen=True, slots=True)
class Collate:
    """Makes a batch of training rows; tensors are (rows, tokens) and 64 bits wide."""

    pad: int
    """Id that fills up shorter rows."""

    left: bool = False
    """Which side is filled up."""

    sparse: bool = False
    """Whether the model computes logits only where something is learned; single rows only."""

    flat: bool = False
    """Whether all rows come as one that is not filled up, with the bounds of its examples, for
    attention that reads those instead of a mask."""

    def __call__(self, rows: Sequence[Sequence[Tokens]]) -> dict[str, Any]:
        """Return `input_ids`, `position_ids`, `labels`, and what `sparse` and `flat` need."""
        if self.flat:
            rows = [list(chain.from_iterable(rows))]
        width = max(sum(map(len, row)) for row in rows)
        made = [self._row(row, width) for row in rows]
        ids, positions, labels = (torch.stack(column) for column in zip(*made, strict=True))
        batch = {"input_ids": ids, "position_ids": positions, "labels": labels}
        if self.flat:
            batch |= examples_of(positions)
        return {**batch, **_only_learned(labels)} if self.sparse and len(rows) == 1 else batch

    def _row(self, row: Sequence[Tokens], width: int) -> tuple[torch.Tensor, ...]:
        parts = [_example(tokens) for tokens in row]
        gap = width - sum(map(len, row))
        if gap:
            filling = (
                torch.full((gap,), self.pad),
                torch.arange(gap),
                torch.full((gap,), IGNORED),
            )
            parts.insert(0 if self.left else len(parts), filling)
        return tuple(torch.cat(column) for column in zip(*parts, strict=True))


def examples_of(positions: torch.Tensor) -> dict[str, Any]:
    """Return where the examples of a single row are, by the names transformers has for that."""
    ends, longest = attention.bounds(positions[0])
    return {
        "cu_seq_lens_q": ends,
        "cu_seq_lens_k": ends,
        "max_length_q": longest,
        "max_length_k": longest,
    }


def _example(tokens: Tokens) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    ids = torch.frombuffer(tokens.ids, dtype=torch.int32).long()
    learned = torch.frombuffer(bytearray(tokens.learned), dtype=torch.uint8).bool()
    labels = torch.where(learned, ids, IGNORED)
    labels[0] = IGNORED  # the token before it belongs to another example
    return ids, torch.arange(len(ids)), labels


def _only_learned(labels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return which tokens predict a learned one, and the ones they predict."""
    keep = (labels[0, 1:] != IGNORED).nonzero()[:, 0]
    return {"logits_to_keep": keep, "shift_labels": labels[:, keep + 1]}


LEAK = 1e-5
"""Least change, in standard deviations of the logits, that counts as seeing another example.

Measured on 30 architectures: 0 to 3e-7 where examples are kept apart, 5e-4 to 4 where they are not.
"""


ROUNDING = 0.05
"""Most that two kinds of attention may differ, in standard deviations of the logits, on average."""


def attends_in_packs(model: Any, vocabulary: int) -> bool:
    """Give the model the attention that needs no mask if it then sees the same; whether it does."""
    row = probe(model, vocabulary)
    with evaluating(model):
        before = _logits(model, *row)

    def proven(changed: Any) -> bool:
        with evaluating(changed):
            differ = (_logits(changed, *row) - before).float().square().mean().sqrt()
        return bool(differ <= ROUNDING * before.float().std()) and keeps_apart(changed, vocabulary)

    return attention.adopt(model, proven)


def keeps_apart(model: Any, vocabulary: int) -> bool:
    """Whether the model sees an example in a packed row as it sees it alone.

    Six forward passes over at most sixteen tokens, as they are computed in training: what an
    example yields must not change with the one before it, and must be what it yields alone. The
    first is exact in any precision, since masked tokens weigh nothing; where experts or 8-bit
    products couple the tokens of a row, the one *after* an example shows how much is only rounding.
    """
    seen, one, other = probe(model, vocabulary)
    try:
        with evaluating(model):
            behind, behind_other = (_logits(model, before, seen)[:, 9:] for before in (one, other))
            ahead, ahead_of_other = (_logits(model, seen, after)[:, :7] for after in (one, other))
            alone = _logits(model, seen)
            mixed = model(input_ids=torch.cat([one, seen], 1)).logits[:, 9:]
    except TypeError:  # the model takes no positions
        return False
    rounding = 4 * apart(ahead, ahead_of_other)
    if apart(behind, behind_other) > max(LEAK * float(alone.float().std()), rounding):
        return False
    return apart(behind, alone) < 0.5 * apart(mixed, alone)


def probe(model: Any, vocabulary: int) -> tuple[torch.Tensor, ...]:
    """Return three short examples, (1, tokens) each."""
    device = next(model.parameters()).device
    ids = (torch.arange(1, 26, device=device) * 7919 % max(2, vocabulary - 1))[None]
    return torch.split(ids, [7, 9, 9], 1)


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Let a model answer and learn nothing of it."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


def _logits(model: Any, *examples: torch.Tensor) -> torch.Tensor:
    """Return the logits of a row in which `examples` (1, tokens) stand side by side."""
    positions = [torch.arange(ids.shape[1], device=ids.device) for ids in examples]
    row, at = torch.cat(examples, 1), torch.cat(positions)[None]
    told = examples_of(at) if attention.lent(model) else {}
    logits: torch.Tensor = model(input_ids=row, position_ids=at, **told).logits
    return logits


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the largest difference between two answers."""
    return float((one.float() - other.float()).abs().max())
