"""The first rows of the examples as they lie in the data: which columns, and what in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from orchestrator.data.sources import find
from orchestrator.form.draft import Draft
from orchestrator.jobs.client import Client
from worker.common import Data
from worker.errors import HubtrainError
from worker.exchange import Region
from worker.hubclient import hub
from worker.imagefile import kind_of
from worker.shorten import shortened

ROWS = 5
READ_BYTES = 4 << 20
LONGEST = 160
"""Characters of a value that are shown."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image in a row."""

    name: str
    """What its file is called, or how large it is."""

    content: bytes
    """As it is stored: a stranger's, of whatever size."""

    regions: tuple[Region, ...] = ()
    """What the row marks on it."""


Cell = str | Picture


@dataclass(frozen=True, slots=True)
class Preview:
    """The columns of the training rows, and the first of these."""

    source: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[int, tuple[Cell, ...]], ...] = ()
    """Rows as people read them, each with its line or its place."""


NOTHING = Preview()


def preview(client: Client, said: Draft) -> Preview:
    """Return the first rows that a draft names; nothing where they cannot be read.

    Why they cannot is said by the check.
    """
    if not said.task.reads_rows or not said.values.get("data_path"):
        return NOTHING
    try:
        wanted = said.settings().of(Data)
        table = find(wanted, hub(client.token), said.task.media).tables["train"]
        columns = table.columns()
        rows = islice(table.rows(READ_BYTES), ROWS)
        shown = tuple((number, tuple(_cells(row, columns, said))) for number, row in rows)
        return Preview(table.name, columns, shown)
    except (HubtrainError, OSError):
        return NOTHING


def _cells(row: dict[str, Any], columns: tuple[str, ...], said: Draft) -> Iterator[Cell]:
    regions = tuple(said.task.regions(row, said.values))
    for name in columns:
        yield _cell(row.get(name), regions)


def _cell(value: Any, regions: tuple[Region, ...]) -> Cell:
    match value:
        case None:
            return ""
        case bytes():
            return _file(f"{len(value):,} bytes", value, regions)
        case {"bytes": bytes() as content, **rest}:
            named = str(rest.get("path") or f"{len(content):,} bytes")
            return _file(named, content, regions)
        case list() | dict():
            return shortened(json.dumps(value, ensure_ascii=False, default=str), LONGEST)
        case _:
            return shortened(str(value), LONGEST)


def _file(name: str, content: bytes, regions: tuple[Region, ...]) -> Cell:
    """Return a file in a row: an image as one, any other by its name."""
    named = shortened(name, LONGEST)
    return Picture(named, content, regions) if kind_of(content) else named
