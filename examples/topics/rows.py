"""What a row says: its text and its topic. The same for the check and the training. Light."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.columns import no_column
from worker.errors import BadData
from worker.splits import Row, Split, Splits, hold_out_of_each, in_order, missing, parted

if TYPE_CHECKING:
    from worker.tasks.topics import TopicsParams


@dataclass(frozen=True, slots=True)
class Example:
    """A text and its topic."""

    text: str
    topic: str


@dataclass(frozen=True, slots=True)
class Examples:
    """The examples of a job."""

    train: list[Example]
    valid: list[Example]
    topics: tuple[str, ...]
    """In the order in which the model numbers them."""

    read: int
    """Rows of the training split that were read, with those that say nothing."""


def divided(splits: Splits, params: TopicsParams) -> Examples:
    """Return the examples to train on and to validate on. Raises `BadData`.

    A split called `valid` outranks a share to hold out.
    """
    split = splits["train"]
    rows = [row for _, row in split.first(params.max_samples)]
    train = _read(split, rows, params)
    topics = in_order({one.topic for one in train})
    if len(topics) < 2:  # noqa: PLR2004
        raise BadData(
            f'all texts of {split.source} have the same "{params.target_column}".',
            fix="--target-column with the name of another column",
        )
    valid: list[Example] = []
    if "valid" in splits:
        valid = _read(splits["valid"], (row for _, row in splits["valid"].rows), params)
        if unknown := {one.topic for one in valid}.difference(topics):
            named = ", ".join(sorted(unknown))
            raise BadData(f"{splits['valid'].source} has topics without a training text: {named}.")
    elif share := params.valid_share:
        held = hold_out_of_each([one.topic for one in train], share, params.seed)
        train, valid = parted(train, held)
    return Examples(train, valid, topics, len(rows))


def _read(split: Split, rows: Iterable[Row], params: TopicsParams) -> list[Example]:
    """Return the rows that have a text and a topic."""
    for name, flag in (
        (params.text_column, "--text-column"),
        (params.target_column, "--target-column"),
    ):
        if name not in split.columns:
            raise no_column(name, split.columns, split.source, flag)
    names = split.classes.get(params.target_column, ())
    found = []
    for row in rows:
        text, topic = row[params.text_column], row[params.target_column]
        if not missing(text) and not missing(topic):
            declared = names and isinstance(topic, int)  # a place in the names
            found.append(Example(str(text), names[topic] if declared else str(topic)))
    return found
