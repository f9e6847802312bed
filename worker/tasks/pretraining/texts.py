"""Texts out of rows, one after another: the same for the check and for training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from worker.errors import BadData
from worker.splits import Row
from worker.tasks.llm import trainers
from worker.tasks.llm.data import with_fullest
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.rows import Answer, Text


def texts_in(
    rows: Iterable[tuple[int, Row]], columns: Sequence[str], params: LlmParams, source: str
) -> Iterator[str]:
    """Yield the text of each row that has one. Raises `BadData`, naming column or row."""
    fullest, numbered = with_fullest(rows)
    layout = trainers.of(params).layout(columns, fullest, params, source)
    for line, row in numbered:
        match layout.read(row, line):
            case Text(text):
                yield text
            case Answer(prompt, completion):
                yield prompt + completion
            case None:
                continue
            case _:
                raise BadData(
                    f'"{layout.columns[0]}" of {source} holds conversations, and pretraining '
                    "learns texts.",
                    fix="--text-column with a column of texts, or hubtrain llm --train",
                )


def held_out(place: int, share: float | None) -> bool:
    """Whether the row at a place, from 0, is kept for validation: one in so many, evenly."""
    return share is not None and int((place + 1) * share) > int(place * share)
