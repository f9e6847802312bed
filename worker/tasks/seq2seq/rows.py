"""What a row says: a text that is read, and the one that is to be written. Light.

Both the check and the training read rows with this.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from worker.errors import BadData
from worker.families.columns import chosen
from worker.families.text.examples import text_of
from worker.splits import Row, Split, Splits, hold_out, parted
from worker.tasks.seq2seq.params import Seq2SeqParams

_TEXTS = "text dialogue document article source input question"
_TARGETS = "target summary highlights translation output answer label"
TEXTS, TARGETS = tuple(_TEXTS.split()), tuple(_TARGETS.split())
"""Usual names of the two columns, for users who name none."""


@dataclass(frozen=True, slots=True)
class Example:
    """A text, and what is to be written of it."""

    row: int
    """Where a person finds it: its line, or its place from 1."""

    text: str
    target: str


@dataclass(slots=True)
class Examples:
    """The examples of a split, and the rows that are none."""

    source: str
    read: int = 0
    examples: list[Example] = field(default_factory=list)
    empty: list[int] = field(default_factory=list)
    """Rows without a text, or without what is to be written."""

    broken: dict[int, BadData] = field(default_factory=dict)
    """What is wrong with a row, by its number."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """The examples of a job: those of each split, and which are learned from and which judge."""

    train: Examples
    valid: Examples | None
    learned: list[Example]
    held: list[Example]


def gathered(splits: Splits, params: Seq2SeqParams) -> Corpus:
    """Return the examples of all splits. Raises `BadData` for columns that are not there.

    A split called `valid` outranks a share to hold out.
    """
    train = read(splits["train"], params, splits["train"].first(params.max_samples))
    if "valid" in splits:
        valid = read(splits["valid"], params, splits["valid"].rows)
        return Corpus(train, valid, train.examples, valid.examples)
    if params.valid_share is None:
        return Corpus(train, None, train.examples, [])
    held = hold_out(len(train.examples), params.valid_share, params.seed)
    return Corpus(train, None, *parted(train.examples, held))


def read(split: Split, params: Seq2SeqParams, rows: Iterable[tuple[int, Row]]) -> Examples:
    """Return the examples in `rows` of `split`. Raises `BadData` for a column that is not there."""
    text = chosen(split, params.text_column, TEXTS, "--text-column")
    target = chosen(split, params.target_column, TARGETS, "--target-column", taken=[text])
    found = Examples(split.source)
    for number, row in rows:
        found.read += 1
        try:
            given = text_of(row.get(text), number, text, split.source)
            wanted = text_of(row.get(target), number, target, split.source, "--target-column")
        except BadData as error:
            found.broken[number] = error
            continue
        if given is None or wanted is None:
            found.empty.append(number)
        else:
            found.examples.append(Example(number, given, wanted))
    return found
