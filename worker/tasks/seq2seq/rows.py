"""What a row says: a text that is read, and the one that is to be written. Light."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TypeAlias

from worker.errors import BadData
from worker.families.columns import chosen
from worker.families.corpus import Corpus, Diagnosed, divided
from worker.families.text.examples import Example, text_of
from worker.splits import Row, Split, Splits
from worker.tasks.seq2seq.params import Seq2SeqParams

_TEXTS = "text dialogue document article source input question"
_TARGETS = "target summary highlights translation output answer label"
TEXTS, TARGETS = tuple(_TEXTS.split()), tuple(_TARGETS.split())
"""Usual names of the two columns, for users who name none."""

Pair: TypeAlias = Example[str]
"""A text, and what is to be written of it."""

Pairs: TypeAlias = Diagnosed[Pair]
"""The pairs of a split. Of an `empty` row one of the two says nothing."""


def gathered(splits: Splits, params: Seq2SeqParams) -> Corpus[Pairs, Pair]:
    """Return the pairs to learn from and those to judge by. Raises `BadData`."""
    return divided(splits, params, partial(read, params))


def read(params: Seq2SeqParams, split: Split, rows: Iterable[tuple[int, Row]]) -> Pairs:
    """Return the pairs in `rows` of `split`. Raises `BadData` for a column that is not there."""
    text = chosen(split, params.text_column, TEXTS, "--text-column")
    target = chosen(split, params.target_column, TARGETS, "--target-column", taken=[text])
    found: Pairs = Diagnosed(split.source)
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
