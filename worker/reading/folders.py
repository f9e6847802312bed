"""What a folder or a zip holds: files by their paths below it, without what systems hide in it."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import pyarrow as pa

from worker.errors import BadData
from worker.reading.files import DataFile, is_data, on_disk
from worker.shorten import some

SYSTEM_FILES = {"thumbs.db", "desktop.ini"}
"""What Windows puts into folders, in small letters."""

_LEADS_OUT = re.compile(r"^([/\\]|[A-Za-z]:)|(^|[/\\])\.\.([/\\]|$)")
"""Paths in a zip that are absolute or go up, by either system's slashes."""


PACK_ANEW = "Pack it anew from within its folder, if they belong to the data."
"""What helps where paths in a zip lead out of it."""


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a folder or a zip, by their paths below it, with `/`."""

    names: tuple[str, ...]
    """Files that are not hidden, in order."""

    folders: tuple[str, ...]
    """Folders that are not hidden, in order."""

    hidden: tuple[str, ...]
    """What was left out: hidden files and folders, and what systems add."""

    links: tuple[str, ...]
    """Links to folders, which are not followed."""

    outside: tuple[str, ...]
    """Files of a zip whose paths lead out of it: they are left out."""

    get: Callable[[str], DataFile]
    """Returns one of `names`; raises `BadData` for a link that leads out of the folder: whoever
    made the folder would choose which files of this machine are sent away."""

    @property
    def strays(self) -> str:
        """What is to be said of `outside`; empty where there is none."""
        if not self.outside:
            return ""
        return f"files whose paths lead out of the zip: {some(self.outside)}"

    def data(self) -> list[DataFile]:
        """Return those that hold rows; where nothing else does, the one `.json` there is."""
        found = [name for name in self.names if is_data(name)]
        single = [name for name in self.names if name.lower().endswith((".json", ".json.gz"))]
        return [self.get(name) for name in found or (single if len(single) == 1 else [])]


def in_folder(folder: Path) -> Files:
    """Return the files below `folder`."""
    names, folders, hidden, links = [], [], [], []
    for root, below, files in os.walk(folder):
        at = Path(root).relative_to(folder)
        names += [(at / name).as_posix() for name in files if _is_visible(name)]
        hidden += [(at / name).as_posix() for name in (*below, *files) if not _is_visible(name)]
        below[:] = sorted(filter(_is_visible, below))
        links += [(at / name).as_posix() for name in below if Path(root, name).is_symlink()]
        folders += [(at / name).as_posix() for name in below]
    return Files(
        names=tuple(sorted(names)),
        folders=tuple(sorted(folders)),
        hidden=tuple(sorted(hidden)),
        links=tuple(links),
        outside=(),
        get=partial(_inside, folder),
    )


def _is_visible(name: str) -> bool:
    return not name.startswith((".", "__MACOSX")) and name.lower() not in SYSTEM_FILES


def _inside(folder: Path, name: str) -> DataFile:
    path = folder / name
    # Folders that are links were not entered, so that only the file itself can lead away.
    if path.is_symlink() and not (target := path.resolve()).is_relative_to(folder.resolve()):
        raise BadData(
            f"{name} in {folder} is a link to {target}, outside that folder.",
            fix="Copy the file into the folder, or give it by its own path:  --data-path FILE",
        )
    if not path.is_file():
        raise BadData(f"{name} in {folder} is no file, or a link to one that is gone.")
    return on_disk(path, name)


def in_zip(path: Path) -> Files:
    """Return the files inside the zip at `path`. Raises `BadData` if it is none."""
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise BadData(f"{path.name} is not a zip file, or is cut short ({error}).") from error
    entries = {_name_in_zip(e): e for e in archive.infolist()}
    files = [name for name, entry in entries.items() if not entry.is_dir()]
    if any(entries[name].flag_bits & 1 for name in files):
        raise BadData(f"{path.name} is locked with a password.", fix="Pack it without one.")
    inside = [name for name in files if not _LEADS_OUT.search(name)]
    folders = {folder for name in entries for folder in _folders_of(name)}

    def get(name: str) -> DataFile:
        entry = entries[name]
        return DataFile(name, entry.file_size, lambda: pa.PythonFile(archive.open(entry), mode="r"))

    return Files(
        names=tuple(sorted(filter(_is_shown, inside))),
        folders=tuple(sorted(filter(_is_shown, folders))),
        hidden=tuple(name for name in inside if not _is_shown(name)),
        links=(),
        outside=tuple(name for name in files if _LEADS_OUT.search(name)),
        get=get,
    )


def _is_shown(name: str) -> bool:
    return all(map(_is_visible, name.split("/")))


def _folders_of(name: str) -> Iterator[str]:
    """Yield the folders that an entry lies in, and the entry where it is one; none outside."""
    if not _LEADS_OUT.search(name):
        path = PurePosixPath(name)
        yield from (str(p) for p in (path, *path.parents)[not name.endswith("/") : -1])


def _name_in_zip(entry: zipfile.ZipInfo) -> str:
    """Return an entry's name; some systems write UTF-8 and do not say so."""
    if entry.flag_bits & 0x800:
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode()
    except UnicodeError:
        return entry.filename
