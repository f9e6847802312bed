"""Images that a list names: metadata.csv, metadata.jsonl, or a table with a column of paths."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from itertools import islice

from orchestrator.data.sources.media.table import ImageTable
from worker.common import Data
from worker.errors import BadData
from worker.reading.files import DataFile
from worker.reading.table import FileTable
from worker.shorten import some

IMAGE_COLUMN = "image"
"""What a column of images is called, unless a setting calls it by its own name."""

METADATA = "metadata"
"""What a list is called in Hugging Face's folders of images; it has the column of `FILE_NAME`."""

FILE_NAME = ("file_name", "image_file_name")

LOOKED_AT = 20
"""Rows of a table in which a column of paths is looked for."""


Find = Callable[[str], DataFile | None]
"""Returns the image at a path as a list has it; none if there is none."""


def is_metadata(name: str) -> bool:
    """Whether a file's name says that it is a list of images."""
    return name.rpartition("/")[2].lower() in {f"{METADATA}.csv", f"{METADATA}.jsonl"}


def plain(path: str) -> str:
    """Return a path as it is compared: systems write umlauts and slashes in two ways each."""
    return unicodedata.normalize("NFC", path.replace("\\", "/").removeprefix("./"))


def column_of_paths(table: FileTable, find: Find) -> str | None:
    """Return the column that holds paths of images; none if no first row has any."""
    for _, row in islice(table.rows(), LOOKED_AT):
        for column, cell in row.items():
            if isinstance(cell, str) and find(cell) is not None:
                return column
    return None


def with_images(table: FileTable, paths: str, find: Find, params: Data, where: str) -> ImageTable:
    """Return the table with the images in place of their paths. Raises `BadData`."""
    set_by_user = paths in params.model_dump().values()
    column = paths if set_by_user else IMAGE_COLUMN
    if column != paths and column in table.columns():
        raise BadData(
            f"{table.name} has paths of images in the column {paths}, and a column {column} too.",
            fix=f"Rename or remove the column {column}.",
        )
    files: dict[str, DataFile] = {}
    gone: list[str] = []
    for line, row in table.rows():
        path = row[paths]
        found = files.get(path) or (find(path) if isinstance(path, str) else None)
        if found is None:
            gone.append(f"row {line} has {path!r}" if path else f"row {line} has none")
        else:
            files[path] = found
    if gone:
        raise _gone(table.name, where, gone)
    return ImageTable(table.name, table, paths, column, files)


def _gone(table: str, where: str, gone: Iterable[str]) -> BadData:
    return BadData(
        f"{table} names images that are not in {where}: {some(gone)}.",
        fix="Paths begin at the folder the list is in, and end as the images' names do.",
    )


def metadata_column(table: FileTable) -> str:
    """Return the column of paths of a list called metadata. Raises `BadData`."""
    column = next((c for c in FILE_NAME if c in table.columns()), None)
    if column is None:
        raise BadData(
            f"{table.name} has no column file_name, which says which image each row is about; "
            f"it has: {', '.join(table.columns())}."
        )
    return column
