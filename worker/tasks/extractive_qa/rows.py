"""What a row says: a question, a text, and where in it the answers are. Light."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from worker.columns import no_column
from worker.errors import BadData
from worker.families.corpus import Corpus, Found, FromRow, divided
from worker.literal import literal
from worker.splits import Row, Split, Splits, missing

if TYPE_CHECKING:
    from worker.tasks.extractive_qa.params import QaParams


@dataclass(frozen=True, slots=True)
class Answer:
    """A piece of the context."""

    text: str
    start: int
    """Place of its first character in the context."""

    @property
    def end(self) -> int:
        """Place behind its last character."""
        return self.start + len(self.text)


@dataclass(frozen=True, slots=True)
class Asked(FromRow):
    """A question to a context."""

    question: str
    context: str
    answer: Answer | None
    """The one that is learned, the first; none where the context does not answer."""

    texts: tuple[str, ...] = ()
    """All answers that count as right."""


@dataclass(slots=True)
class Questions(Found[Asked]):
    """The questions of a split, and the numbers of the rows that are none or that were mended.

    Of an `empty` row the question, the context or the cell of the answers says nothing.
    """

    broken: list[int] = field(default_factory=list)
    """The cell of the answers cannot be read."""

    absent: list[int] = field(default_factory=list)
    """No answer is in the context."""

    moved: list[int] = field(default_factory=list)
    """The answer was not at its place, and was taken from where its text is."""

    @property
    def unanswerable(self) -> int:
        """How many questions their contexts do not answer."""
        return sum(one.answer is None for one in self.examples)


def gathered(splits: Splits, params: QaParams) -> Corpus[Questions, Asked]:
    """Return the questions to learn from and those to judge by. Raises `BadData`."""
    return divided(splits, params, partial(read, params))


def read(params: QaParams, split: Split, rows: Iterable[tuple[int, Row]]) -> Questions:
    """Return the questions in `rows` of `split`. Raises `BadData` where a column is not there."""
    named = (
        (params.question_column, "--question-column"),
        (params.text_column, "--text-column"),
        (params.answer_column, "--answer-column"),
    )
    for name, flag in named:
        if name not in split.columns:
            raise no_column(name, split.columns, split.source, flag)
    found = Questions(split.source)
    for number, row in rows:
        found.read += 1
        question, context, cell = (row.get(name) for name, _ in named)
        if missing(question) or missing(context) or missing(cell):
            found.empty.append(number)
        else:
            _add(found, number, str(question).strip(), str(context), cell)
    return found


def _add(found: Questions, number: int, question: str, context: str, cell: Any) -> None:
    """Add a row to the questions, or its number to what is wrong with it."""
    try:
        said = answers_of(cell)
    except BadData:
        found.broken.append(number)
        return
    placed = [_placed(text, start, context) for text, start in said]
    there = [answer for answer in placed if answer]
    if said and not there:
        found.absent.append(number)
        return
    if there and (there[0].text, there[0].start) not in said and said[0][1] is not None:
        found.moved.append(number)
    texts = tuple(text for text, _ in said)
    found.examples.append(Asked(number, question, context, there[0] if there else None, texts))


def _placed(text: str, start: int | None, context: str) -> Answer | None:
    """Return an answer at its place, or at the nearest one where its text is; none without one."""
    if start is not None and context.startswith(text, start):
        return Answer(text, start)
    places = [found.start() for found in re.finditer(re.escape(text), context)]
    return Answer(text, min(places, key=lambda at: abs(at - (start or 0)))) if places else None


Said = list[tuple[str, int | None]]
"""Texts of answers, each with its place where one is told."""


def answers_of(cell: Any) -> Said:
    """Return the answers in a cell; none where the question has no answer. Raises `BadData`.

    A cell is `{"text": […], "answer_start": […]}`, a list of such with one answer each, the same as
    JSON or Python write it, or else the text of the answer. No answer is an empty list, or what
    AutoTrain took for one: -1.
    """
    said = _literal(cell) if isinstance(cell, str) else cell
    if isinstance(said, str):
        return [(said.strip(), None)]
    if isinstance(said, Mapping):
        return _of_mapping(said)
    if isinstance(said, list | tuple):
        return [answer for one in said for answer in _of_one(one)]
    raise BadData("an answer is neither a text nor a list of texts")


def _of_one(one: Any) -> Said:
    if isinstance(one, str):
        return [(one.strip(), None)]
    if isinstance(one, Mapping):
        return _of_mapping(one)
    raise BadData("an answer is neither a text nor a place")


def _of_mapping(said: Mapping[str, Any]) -> Said:
    """Return the answers of one cell as SQuAD has them."""
    if "text" not in said:
        raise BadData('answers have no "text"')
    texts, starts = _as_list(said["text"]), _as_list(said.get("answer_start"))
    if starts and len(starts) != len(texts):
        raise BadData("there are more answers than places, or fewer")
    starts = starts or [None] * len(texts)
    if not all(isinstance(text, str) or text is None for text in texts):
        raise BadData("an answer is no text")
    if not all(start is None or isinstance(start, int | float) for start in starts):
        raise BadData("a place is no number")
    placed = [(t, None if s is None else int(s)) for t, s in zip(texts, starts, strict=True)]
    return [(text, start) for text, start in placed if text and (start is None or start >= 0)]


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


_ARRAY = re.compile(r"array\((\[.*?\]),?\s*(?:dtype=[\w.']+)?\)", re.DOTALL)
"""How Python writes the arrays in which pandas has lists."""


def _literal(text: str) -> Any:
    """Return what a text is as JSON or Python write it; itself where it is neither.

    Nothing in it is executed. Raises `BadData` for what begins as such and cannot be read.
    """
    if not text.lstrip().startswith(("{", "[")):
        return text
    for said in (text, _ARRAY.sub(r"\1", text)):
        with suppress(ValueError):
            return literal(said)
    raise BadData("answers cannot be read as JSON or as Python write them")
