"""The examples: an image, what is asked of it, and what is to be said. Light: no PIL.

Both the check and the training read rows with this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from worker.errors import BadData
from worker.families.columns import chosen
from worker.families.labels import shown
from worker.families.pictures.examples import Examples, collect, image_column
from worker.splits import Row, Split
from worker.tasks.vlm.params import VlmParams
from worker.tasks.vlm.speech import Wording

T = TypeVar("T")

TEXTS = ("text", "answer", "caption", "label")
PROMPTS = ("prompt", "question")
"""Usual names of the columns, for users who name none."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a model is asked, and what it is to say."""

    question: str
    answer: str


def read(
    split: Split,
    rows: Iterable[tuple[int, Row]],
    params: VlmParams,
    keep: Callable[[bytes], T],
    *,
    wording: Wording,
) -> Examples[T, Said]:
    """Return the examples in `rows` of `split`; `keep` is called with the bytes of each image.

    Raises `BadData`, naming the column or the row.
    """
    image = image_column(split, params.image_column)
    text = chosen(split, params.text_column, TEXTS, "--text-column", taken=[image])
    asked = ""
    if params.asks:
        name, taken = params.prompt_text_column, [image, text]
        asked = chosen(split, name, PROMPTS, "--prompt-text-column", taken=taken)

    def said(row: Row, number: int) -> Said | None:
        answer = text_of(row.get(text), text, split, number)
        question = text_of(row.get(asked), asked, split, number) if asked else None
        if not answer or question == "":
            return None
        return Said(wording.question(question), answer)

    found: Examples[T, Said] = Examples(split.source)
    return collect(found, image, rows, keep, said)


def text_of(cell: Any, column: str, split: Split, number: int) -> str:
    """Return the text in a cell; empty for none. Raises `BadData`.

    Numbers are told as they are read aloud, classes by their names; of several answers to one
    question, as in VQA, the most frequent counts.
    """
    if isinstance(cell, list | tuple) and all(isinstance(one, str) for one in cell):
        return Counter(cell).most_common(1)[0][0].strip() if cell else ""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    names = split.classes.get(column, ())
    if isinstance(cell, int) and names:
        return names[cell] if 0 <= cell < len(names) else ""
    if cell is None or cell != cell:  # noqa: PLR0124 (no number)
        return ""
    if isinstance(cell, str | int | float):
        return str(cell).strip()
    raise BadData(
        f'row {number} of {split.source}: the column "{column}" holds {shown(cell)} and no text.',
        fix="--text-column and --prompt-text-column with columns of text",
    )
