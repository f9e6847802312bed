"""What a row says: two or three sentences, and a score or a class. Light."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from worker.errors import BadData
from worker.families.columns import chosen
from worker.families.corpus import Corpus, Diagnosed, FromRow, divided
from worker.families.labels import Labels
from worker.families.text.examples import text_of
from worker.splits import Row, Split, Splits, hold_out_of_each, in_order
from worker.tasks.sentence_transformers.params import SentenceParams

FIRST = ("sentence1", "anchor", "query", "question", "premise")
SECOND = ("sentence2", "positive", "answer", "hypothesis", "response")
THIRD = ("sentence3", "negative", "contradiction")
SCORES = ("target", "score", "label", "similarity")
CLASSES = ("target", "label", "labels", "class")
"""Usual names of the columns, for users who name none."""

Target = float | str | None
"""A score, or the name of a class; none where the trainer learns from sentences alone."""


@dataclass(frozen=True, slots=True)
class Example(FromRow):
    """Sentences, and what is told of them."""

    sentences: tuple[str, ...]
    target: Target = None


@dataclass(slots=True, kw_only=True)
class Examples(Diagnosed[Example]):
    """The examples of a split, and the rows that are none: the `empty` ones lack a sentence."""

    declared: tuple[str, ...] = ()
    """Names of the classes where the data declare them."""

    untold: list[int] = field(default_factory=list)
    """Numbers of the rows without a score or class."""

    contradicting: list[int] = field(default_factory=list)
    """Numbers of the rows whose second sentence both belongs to the first and does not."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order in which the head numbers them."""
        return self.declared or in_order({str(one.target) for one in self.examples})


SentenceCorpus: TypeAlias = Corpus[Examples, Example]
"""Sentences, and what is told of them."""


def gathered(splits: Splits, params: SentenceParams) -> SentenceCorpus:
    """Return the examples to learn from and those to judge by. Raises `BadData`.

    Of each class the same share is held out.
    """

    def of_each_class(found: Examples, share: float) -> frozenset[int]:
        classes = [str(one.target) for one in found.examples]
        return hold_out_of_each(classes, share, params.seed)

    held_out = of_each_class if params.learns.target == "class" else None
    return divided(splits, params, partial(read, params), held_out)


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of sentences and targets."""

    sentences: tuple[tuple[str, str], ...]
    """Each with the flag that would name another."""

    target: Labels | None

    @classmethod
    def of(cls, split: Split, params: SentenceParams) -> Columns:
        """Return the columns of a split. Raises `BadData` for one that is not there."""
        third = params.sentence3_column or THIRD[0]
        asked = (params.sentence1_column, params.sentence2_column, third)
        flags = tuple(f"--sentence{i}-column" for i in (1, 2, 3))
        wanted = tuple(zip(asked, (FIRST, SECOND, THIRD), flags, strict=True))
        names: list[str] = []
        for name, usual, flag in wanted[: params.learns.sentences]:
            names.append(chosen(split, name, usual, flag, taken=names))
        sentences = tuple(zip(names, flags, strict=False))
        if params.learns.batch_negatives:
            return cls(sentences, None)
        targets = SCORES if params.learns.target == "score" else CLASSES
        asked_for = params.target_column or targets[0]
        target = chosen(split, asked_for, targets, "--target-column", taken=names)
        return cls(sentences, Labels.of(split, target))


def read(params: SentenceParams, split: Split, rows: Iterable[tuple[int, Row]]) -> Examples:
    """Return the examples in `rows` of `split`. Raises `BadData` for a column that is not there."""
    columns = Columns.of(split, params)
    classes = params.learns.target == "class"
    declared = columns.target.declared if columns.target and classes else ()
    found = Examples(split.source, declared=declared)
    for number, row in rows:
        found.read += 1
        try:
            sentences = _sentences(row, columns, number, split.source)
            target = _target(row, columns, number, classes=classes)
        except BadData as error:
            found.broken[number] = error
            continue
        if len(sentences) < params.learns.sentences:
            found.empty.append(number)
        elif columns.target and target is None:
            found.untold.append(number)
        elif params.learns.has_negative and sentences[1] == sentences[2]:
            found.contradicting.append(number)
        else:
            found.examples.append(Example(number, sentences, target))
    return found


def _sentences(row: Row, columns: Columns, number: int, source: str) -> tuple[str, ...]:
    cells = (text_of(row.get(name), number, name, source, flag) for name, flag in columns.sentences)
    return tuple(cell for cell in cells if cell is not None)


def _target(row: Row, columns: Columns, number: int, *, classes: bool) -> Target:
    if columns.target is None:
        return None
    cell: Any = row.get(columns.target.column)
    read = columns.target.class_of if classes else columns.target.number_of
    return read(cell, number)


def columns_of(examples: Sequence[Example], count: int) -> list[list[str]]:
    """Return the sentences of examples column by column."""
    return [[one.sentences[i] for one in examples] for i in range(count)]
