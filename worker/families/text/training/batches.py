"""Batches of texts: about as long as each other, and padded no further than the longest of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence, Sized
from typing import Any

import numpy as np
import torch
from torch.utils.data import Sampler

from worker.engine import devices
from worker.engine.arguments import trainer_parts
from worker.engine.model import Loaded
from worker.engine.trainer import LeanTrainer, epoch_of
from worker.families.text.params import TextSettings
from worker.task import Run

WINDOW = 100
"""Batches whose rows are sorted among themselves. More would save no padding worth telling, and
make what is learned together less a matter of chance."""

TOKENIZED = 1000
"""Texts handed to the tokenizer at a time."""

EVEN = 8
"""Tokens that a batch is padded to a multiple of on a GPU, whose matrix units count so."""

Tokens = dict[str, Any]
"""A row as the tokenizer returns it, arrays of numbers, and its `labels`."""


def tokenized(tokenizer: Any, texts: Sequence[Any], most: int, **how: Any) -> list[Tokens]:
    """Return the tokens of each text, or of each pair or list of words, cut at `most`.

    `how` is as the tokenizer of transformers takes it. Masks are left out: `Collate` makes them.
    """
    found: list[Tokens] = []
    for start in range(0, len(texts), TOKENIZED):
        group = list(texts[start : start + TOKENIZED])
        told = tokenizer(group, truncation=True, max_length=most, **how)
        columns = {name: told[name] for name in told if name != "attention_mask"}
        found += [
            {name: np.asarray(cells[i], np.int32) for name, cells in columns.items()}
            for i in range(len(group))
        ]
    return found


def length(row: Tokens) -> int:
    """Return the tokens of a row."""
    return len(row["input_ids"])


def longest_first(rows: Sequence[Any], of: Callable[[Any], int] = length) -> list[Any]:
    """Return rows to validate on: alike in a batch, and those that take most memory at once."""
    return sorted(rows, key=of, reverse=True)


class Collate:
    """Makes a batch of rows: padded as its tokenizer does, on the side where it does.

    `more` are columns beside the tokenizer's own that are padded, each with what: labels of tokens
    with -100. Other columns hold one number a row, or as many as every other row.
    """

    def __init__(self, tokenizer: Any, **more: float) -> None:
        self.left = tokenizer.padding_side == "left"
        self.padding = {"input_ids": tokenizer.pad_token_id, "attention_mask": 0}
        self.padding |= {"token_type_ids": tokenizer.pad_token_type_id, **more}
        self.even = EVEN if devices.device() == "cuda" else 1

    def __call__(self, rows: Sequence[Tokens]) -> dict[str, torch.Tensor]:
        """Return tensors of (rows, tokens), and of what else the rows have."""
        wide = -(-max(map(length, rows)) // self.even) * self.even
        masked = [{**row, "attention_mask": np.ones(length(row), np.int64)} for row in rows]
        return {name: self._column([row[name] for row in masked], name, wide) for name in masked[0]}

    def _column(self, cells: Sequence[Any], name: str, wide: int) -> torch.Tensor:
        if name not in self.padding:
            return torch.as_tensor(np.asarray(cells))
        made = np.full((len(cells), wide), self.padding[name], np.int64)
        for row, cell in zip(made, cells, strict=True):
            start = wide - len(cell) if self.left else 0
            row[start : start + len(cell)] = cell
        return torch.from_numpy(made)


class ByLength(Sampler[int]):
    """Rows in an order in which those of a batch are about as long as each other.

    A batch is all that a step learns from, so that the order is the same however many passes and
    processes divide it. Rows are shuffled, sorted in windows of `WINDOW` batches, and the batches
    shuffled again. One of the longest row comes first: memory that does not suffice is told at
    once. The order follows from seed and epoch alone, so that a training that resumes finds its
    place.
    """

    def __init__(
        self, lengths: Sequence[int], batch: int, seed: int, epoch: Callable[[], int]
    ) -> None:
        self.lengths, self.batch, self.seed, self.epoch = lengths, batch, seed, epoch
        self.longest = max(lengths, default=0)

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        chance = random.Random(f"{self.seed} {self.epoch()}")
        order = list(range(len(self.lengths)))
        chance.shuffle(order)
        batches = [batch for window in self._windows(order) for batch in self._cut(window)]
        whole = [batch for batch in batches if len(batch) == self.batch]
        chance.shuffle(whole)
        first = next(filter(self._has_longest, whole), None)
        whole.sort(key=lambda batch: batch is not first)  # which leaves the others as they are
        rest = [batch for batch in batches if len(batch) < self.batch]
        return (row for batch in (*whole, *rest) for row in batch)

    def _windows(self, order: Sequence[int]) -> Iterator[list[int]]:
        rows = WINDOW * self.batch
        for start in range(0, len(order), rows):
            yield sorted(order[start : start + rows], key=self.lengths.__getitem__, reverse=True)

    def _cut(self, window: Sequence[int]) -> Iterator[Sequence[int]]:
        return (window[i : i + self.batch] for i in range(0, len(window), self.batch))

    def _has_longest(self, batch: Sequence[int]) -> bool:
        return any(self.lengths[row] == self.longest for row in batch)


class TextTrainer(LeanTrainer):
    """Learns from rows of about the same length together, where `by_length` has their lengths."""

    by_length: Sequence[int] | None = None

    def _get_train_sampler(self, train_dataset: Sized | None = None) -> Any:
        if self.by_length is None:
            return super()._get_train_sampler(train_dataset)
        passes = self.args.gradient_accumulation_steps * self.args.world_size
        step = self._train_batch_size * passes
        return ByLength(self.by_length, step, self.args.seed, lambda: epoch_of(self.state))


def lengths(rows: Sequence[Tokens]) -> list[int]:
    """Return the tokens of each row."""
    return [length(row) for row in rows]


def trainer_of(
    params: TextSettings,
    run: Run,
    loaded: Loaded,
    learned: Sequence[Tokens],
    held: Sequence[Tokens],
    *,
    labels: Sequence[str] = ("labels",),
    **how: Any,
) -> TextTrainer:
    """Return what learns from some rows and judges by others, whose columns of truth are `labels`.

    `how` is as transformers' Trainer takes it.
    """
    twice = 2 * params.batch_size  # nothing is kept for a way back
    more: dict[str, Any] = {"label_names": list(labels), "per_device_eval_batch_size": twice}
    trainer = TextTrainer(**trainer_parts(params, run, loaded, learned, held, **more), **how)
    trainer.by_length = lengths(learned) if params.group_by_length else None
    return trainer
