"""Rows of a text and what is to be told of it: a class, several, or a number. Light."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeAlias, TypeVar

from worker.errors import BadData
from worker.families.balance import rows as rows_that
from worker.families.columns import TARGETS, TEXTS, chosen
from worker.families.corpus import Corpus, Diagnosed, FromRow, divided
from worker.families.labels import Labels, shown
from worker.families.text.params import TextSettings
from worker.finding import Finding
from worker.splits import Row, Split, Splits, missing

T = TypeVar("T")

Target = Callable[[Any, int], T | None]
"""Reads a cell, whose row has a number: none where it says nothing. Raises `BadData`."""


class TextAndTarget(TextSettings):
    """Texts and what is told of them."""

    text_column: str = "text"
    """Column of the texts; also found where it is called sentence, content, message, review."""

    target_column: str = "target"
    """Column of what is to be told; also found where it is called label, labels, class."""


@dataclass(frozen=True, slots=True)
class Example(FromRow, Generic[T]):
    """A text and what is to be told of it."""

    text: str
    target: T


@dataclass(slots=True, kw_only=True)
class Examples(Diagnosed[Example[T]]):
    """The examples of a split, and the rows that are none: the `empty` ones have no text."""

    target: str
    """Column of what is to be told."""

    declared: tuple[str, ...] = ()
    """Names of the classes where the data declare them."""

    untold: list[int] = field(default_factory=list)
    """Numbers of the rows that have a text, and nothing that is to be told of it."""

    @property
    def targets(self) -> list[T]:
        return [example.target for example in self.examples]


TextCorpus: TypeAlias = Corpus[Examples[T], Example[T]]
"""Texts, and what is told of each."""


def columns(split: Split, params: TextAndTarget) -> tuple[str, str]:
    """Return the columns of texts and of what is to be told. Raises `BadData`, for both at once."""
    found: list[str] = []
    wrong: list[BadData] = []
    for name, usual, flag in (
        (params.text_column, TEXTS, "--text-column"),
        (params.target_column, TARGETS, "--target-column"),
    ):
        try:
            found.append(chosen(split, name, usual, flag, taken=found))
        except BadData as error:
            wrong.append(error)
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        raise BadData(" ".join(map(str, wrong)), fix=" ".join(error.fix for error in wrong))
    return found[0], found[1]


def gathered(
    params: TextAndTarget,
    splits: Splits,
    reader: Callable[[Labels, Sequence[Any]], Target[T]],
    held_out: Callable[[Examples[T], float], frozenset[int]] | None = None,
) -> TextCorpus[T]:
    """Return the examples of all splits. Raises `BadData` for columns that are not there.

    `reader` is given a column and the cells of the training split, and returns what reads a cell;
    `held_out` is that of `divided`.
    """
    train = splits["train"]
    rows = list(train.first(params.max_samples))
    column = columns(train, params)[1]
    cells = [row.get(column) for _, row in rows]

    def read(split: Split, rows: Iterable[tuple[int, Row]]) -> Examples[T]:
        names = columns(split, params)
        return examples(split, names, rows, reader(Labels.of(split, names[1]), cells))

    return divided({**splits, "train": replace(train, rows=rows)}, params, read, held_out)


def examples(
    split: Split, names: tuple[str, str], rows: Iterable[tuple[int, Row]], target: Target[T]
) -> Examples[T]:
    """Return the examples in `rows` of a split, of the columns that are called so."""
    text_column, target_column = names
    declared = split.classes.get(target_column, ())
    found: Examples[T] = Examples(split.source, target=target_column, declared=declared)
    for number, row in rows:
        found.read += 1
        try:
            text = text_of(row.get(text_column), number, text_column, split.source)
            told = target(row.get(target_column), number)
        except BadData as error:
            found.broken[number] = error
            continue
        if text is None:
            found.empty.append(number)
        elif told is None:
            found.untold.append(number)
        else:
            found.examples.append(Example(number, text, told))
    return found


def text_of(
    cell: Any, row: int, column: str, source: str, flag: str = "--text-column"
) -> str | None:
    """Return the text of a cell; none of an empty one. Raises `BadData`."""
    if isinstance(cell, str):
        return cell if cell.strip() else None
    if missing(cell):
        return None
    if isinstance(cell, int | float):
        return str(cell)
    raise BadData(
        f'row {row} of {source}: the column "{column}" holds {shown(cell)} and no text.',
        fix=f"{flag} with the column of the texts",
    )


def left_out(found: Examples[Any], what: str) -> Iterable[Finding]:
    """Rows that are no examples; `what` is what is to be told of a text: a class."""
    if found.empty:
        yield Finding("warn", "data", f"{rows_that(found.empty, 'without a text')}: left out")
    if found.untold:
        text = f"{rows_that(found.untold, f'without {what}')}: left out"
        yield Finding("warn", "data", text)


def broken(found: Mapping[int, BadData]) -> Iterable[Finding]:
    """Rows that cannot be read, by their numbers: the first in full, and where the others are."""
    if not found:
        return
    (_, *more), first = found, next(iter(found.values()))
    verb = "is" if len(more) == 1 else "are"
    others = f" {rows_that(more, f'more {verb} broken so')}." if more else ""
    yield Finding("error", "data", f"{first.message}{others}", first.fix)
