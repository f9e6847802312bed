"""What `--data-path` names on this machine: a file, a folder or a zip.

A path that exists wins over a dataset of the Hub with the same name.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path, PurePath

from orchestrator.data.sources.media import find_in_files, find_listed, is_media
from orchestrator.data.sources.source import DataSource, source_of
from worker import tasks
from worker.common import Data
from worker.errors import BadConfig, BadData
from worker.nearest import nearest
from worker.reading import excel
from worker.reading.files import DataFile, by_split, format_of, on_disk
from worker.reading.folders import PACK_ANEW, Files, in_folder, in_zip
from worker.shorten import shortened, some


def is_local(data_path: str) -> bool:
    """Whether `data_path` means something on this machine, be it there or not."""
    try:
        there = Path(data_path).expanduser().exists()
    except OSError:  # a name longer than names may be: reading it says so
        return True
    return there or not looks_like_repo(data_path)


def looks_like_repo(text: str) -> bool:
    """Whether `text` could name a repo on the Hub: `name` or `owner/name`, no data suffix."""
    shaped = re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", text)
    return bool(shaped) and not is_file(text) and not re.search(r"\.(zip|txt|xls)$", text.lower())


def is_file(text: str) -> bool:
    """Whether `text` is called as a file of rows is."""
    return format_of(text) is not None or text.lower().endswith(".gz")


def find_local(params: Data, media: tuple[str, ...] = ()) -> DataSource:
    """Return what `params.data_path` names on this machine. Raises `BadData`, `BadConfig`.

    `media` are suffixes of files that are examples by themselves.
    """
    path = Path(params.data_path).expanduser()
    if not path.exists():
        raise _not_there(params.data_path, path)
    if path.is_dir():
        where, name = f"the folder {params.data_path}", path.name or params.data_path
        return _in_files(in_folder(path), where, name, params, media)
    if not path.is_file():
        raise BadData(f"{params.data_path} is neither a file nor a folder.")
    if path.suffix.lower() == ".zip":
        return _in_files(in_zip(path), path.name, path.name, params, media)
    _refuse_names_of_splits(path, params)
    if found := find_listed(path, params, media):
        return found
    file = on_disk(path)
    return source_of(path.name, {params.train_split: [file]}, params, notes=_sheets(file))


def _sheets(file: DataFile) -> tuple[str, ...]:
    """Return what is to be said of the sheets of a workbook that has several."""
    if file.format != "xlsx" or not (found := excel.sheet(file)).others:
        return ()
    return (f"sheet {shortened(found.name)!r}; also there: {some(found.others)}",)


def _in_files(
    files: Files, where: str, name: str, params: Data, media: tuple[str, ...]
) -> DataSource:
    found = find_in_files(files, name, params, media) if media else None
    if found is None:
        if not (data := files.data()):
            raise _no_data(files, where)
        splits = by_split(data, (params.train_split, params.valid_split))
        found = source_of(name, splits, params)
    return replace(found, left_out=files.strays)


def _not_there(said: str, path: Path) -> BadData:
    here = path.parent if path.parent.is_dir() else Path()
    there = [name for name in sorted(os.listdir(here)) if _may_be_data(here / name)]
    stems = {PurePath(name).stem: name for name in reversed(there)}
    near = nearest(path.name, there) or stems.get(path.stem)
    return BadData(
        f"no file or folder {said}.",
        fix=f"--data-path {here / near}" if near else "",
    )


def _may_be_data(path: Path) -> bool:
    return path.is_dir() or is_file(path.name) or path.suffix.lower() == ".zip"


def _no_data(files: Files, where: str) -> BadData:
    """Return that there are no rows; of files that another task reads, which task that is."""
    for task in tasks.names():
        media = tasks.load(task).media
        found = [name for name in files.names if is_media(name, media)]
        if found:
            return BadData(
                f"{where} holds files such as {found[0]} ({len(found):,} of them) and no table of "
                "rows.",
                fix=f"hubtrain {task.replace('_', '-')} trains on such files.",
            )
    if within := [name for name in files.names if name.lower().endswith(".zip")]:
        return BadData(
            f"{where} holds a zip, {within[0]}, and no data beside it.",
            fix=f"Unpack {PurePath(within[0]).name}, and give --data-path what is in it.",
        )
    what = f"{where} holds no data: no train.csv, train.jsonl or train.parquet in it."
    if files.strays:
        return BadData(f"{what} Left out are {files.strays}.", fix=PACK_ANEW)
    return BadData(what)


def _refuse_names_of_splits(path: Path, params: Data) -> None:
    if params.train_split not in {"train", path.name, path.stem}:
        raise BadConfig(
            f"{path.name} is one file and has no split {params.train_split!r}.",
            fix="leave out --train-split",
        )
    if params.valid_split and params.valid_share is None:
        raise BadConfig(
            f"{path.name} is one file and has no split {params.valid_split!r}.",
            fix="Hold out a share, --valid-split 0.05, or name a file, --valid-split valid.csv.",
        )
