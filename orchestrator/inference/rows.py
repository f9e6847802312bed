"""What a file, a folder or a zip asks a model, row by row: rows of a table, lines, pictures.

Tables are read as those of a training are, in bounded memory, and as often as one likes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.data.sources.media import is_media
from orchestrator.data.sources.media.listing import FILE_NAME, is_metadata, plain
from worker.errors import BadData
from worker.reading import FileTable
from worker.reading.diagnose import TO_UTF8
from worker.reading.files import DataFile, format_of, on_disk
from worker.reading.folders import PACK_ANEW, Files, in_folder, in_zip

Row = Mapping[str, Any]

LINE = "text"
"""What the column of a file is called that has lines and no columns."""

LOOKED_AT = 8 << 20
"""Bytes that are read to estimate how many rows there are."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of an input."""

    name: str
    columns: tuple[str, ...]
    read: Callable[[], Iterator[tuple[str, Row]]]
    """Yields them from the start, each with the words a person finds it by: `line 7`, `cat.png`."""

    total: int
    """How many there are, or about so many."""

    file: Callable[[str], DataFile]
    """Returns the file that a cell names. Raises `BadData`."""


def find(name: str, media: Sequence[str]) -> Rows:
    """Return the rows of what is called `name` here; files of `media` are examples by themselves.

    Raises `BadData`.
    """
    path = Path(name).expanduser()
    if not path.exists():
        raise BadData(f"no file or folder {name}.")
    if not (path.is_dir() or path.is_file()):  # such as a pipe: rows are read more than once
        raise BadData(f"{name} is neither a file nor a folder.")
    if path.is_dir() or path.suffix.lower() == ".zip":
        files = in_folder(path) if path.is_dir() else in_zip(path)
        if files.strays:
            raise BadData(f"{name} holds {files.strays}.", fix=PACK_ANEW)
        return _pictures(files, name, media) or _tables(files, name)
    if is_media(path.name, media):
        return _listed(name, [path.name], lambda cell: on_disk(path))
    if format_of(path.name) is None:
        return _lines(path)
    return _table(FileTable(path.name, (on_disk(path),)), _beside(path.parent))


def _pictures(files: Files, name: str, media: Sequence[str]) -> Rows | None:
    """Return the pictures of a folder, or what its list says of them; none where it has none."""
    found = [one for one in files.names if is_media(one, media)]
    if not media or not found:
        return None
    names = {plain(one): one for one in found}

    def file(cell: str) -> DataFile:
        if (there := names.get(plain(cell))) is None:
            raise BadData(f"there is no {cell} in {name}")
        return files.get(there)

    lists = [files.get(one) for one in files.names if is_metadata(one) and "/" not in one]
    return (
        _table(FileTable(lists[0].name, (lists[0],)), file) if lists else _listed(name, found, file)
    )


def _tables(files: Files, name: str) -> Rows:
    if not (data := files.data()):
        raise BadData(f"{name} holds neither rows nor pictures that this model can be asked about.")

    def nothing(cell: str) -> DataFile:
        return files.get(cell)

    return _table(FileTable(name, tuple(data)), nothing)


def _listed(name: str, found: Sequence[str], file: Callable[[str], DataFile]) -> Rows:
    rows = [(one, {FILE_NAME[0]: one}) for one in found]
    return Rows(name, FILE_NAME[:1], lambda: iter(rows), len(rows), file)


def _table(table: FileTable, file: Callable[[str], DataFile]) -> Rows:
    def read() -> Iterator[tuple[str, Row]]:
        return ((f"line {number}", row) for number, row in table.rows())

    total = table.measure(LOOKED_AT).rows
    if not total:
        raise BadData(f"{table.name} has no rows.")
    return Rows(table.name, table.columns(), read, total, file)


def _lines(path: Path) -> Rows:
    def read() -> Iterator[tuple[str, Row]]:
        try:
            with path.open(encoding="utf-8-sig", newline="\n") as lines:
                for number, line in enumerate(lines, 1):
                    if text := line.rstrip("\r\n"):
                        yield f"line {number}", {LINE: text}
        except UnicodeDecodeError as error:
            text = f"{path.name} is no text in UTF-8, and no file of rows."
            raise BadData(text, fix=TO_UTF8) from error

    total = sum(1 for _ in read())
    if not total:
        raise BadData(f"{path.name} has no lines.")
    return Rows(path.name, (LINE,), read, total, _beside(path.parent))


def _beside(folder: Path) -> Callable[[str], DataFile]:
    """Return what finds files by their paths, which begin in `folder`."""

    def file(cell: str) -> DataFile:
        path = folder / cell
        try:
            if path.is_file():
                return on_disk(path)
        except (OSError, ValueError):
            pass
        raise BadData(f"there is no file {cell}")

    return file
