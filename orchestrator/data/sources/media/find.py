"""Finds the images of each split, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from orchestrator.data.sources.media.classes import images_by_class, table_of
from orchestrator.data.sources.media.listing import (
    Find,
    column_of_paths,
    is_metadata,
    metadata_column,
    plain,
    with_images,
)
from orchestrator.data.sources.media.scope import Scope, is_media, role_of
from orchestrator.data.sources.source import DataSource, chosen_of
from worker.common import Data
from worker.errors import BadData
from worker.reading.files import DataFile, by_split, on_disk
from worker.reading.folders import Files
from worker.reading.table import FileTable, Table
from worker.shorten import some


@dataclass(frozen=True, slots=True)
class Part:
    """The images of a split, and the lists that name them; none where folders are classes."""

    scope: Scope
    lists: tuple[DataFile, ...] = ()


def find_in_files(
    files: Files, name: str, params: Data, media: tuple[str, ...]
) -> DataSource | None:
    """Return the images of a folder or zip as tables; none if it holds tables without images.

    Raises `BadData` for a folder that says of its images too little, or two things at once.
    """
    if not any(is_media(n, media) for n in files.names) or _has_parquet(files):
        return None
    if files.links:
        raise BadData(
            f"{files.links[0]} in {name} is a link to a folder, and such links are not followed.",
            fix="Copy the folder to where the link is, or remove the link.",
        )
    scope = _unwrapped(Scope(files, media, name), params)
    splits = _splits(scope, params)
    chosen = chosen_of(splits, params, name)
    tables = _tables(chosen, params, name)
    unused = tuple(split for split, part in splits.items() if part not in chosen.values())
    return DataSource(name, tables, unused, notes=_notes(files, scope, splits))


def find_listed(path: Path, params: Data, media: tuple[str, ...]) -> DataSource | None:
    """Return a table of this disk with the images its paths lead to; none if it has no paths."""
    file = on_disk(path)
    if not media or file.format not in {"csv", "jsonl", "json"}:
        return None
    table, find = FileTable(file.name, (file,)), partial(_beside, path.parent.resolve(), media)
    column = metadata_column(table) if is_metadata(path.name) else column_of_paths(table, find)
    if column is None:
        return None
    where = f"the folder of {path.name}"
    return DataSource(path.name, {"train": with_images(table, column, find, params, where)})


def _beside(folder: Path, media: tuple[str, ...], cell: str) -> DataFile | None:
    """Return the image at a path that begins in `folder` and does not lead out of it."""
    path = folder / plain(cell)
    try:
        inside = path.resolve().is_relative_to(folder) and path.is_file()
    except (OSError, ValueError):  # no path, as a long text is none
        return None
    return on_disk(path, plain(cell)) if inside and is_media(cell, media) else None


def _has_parquet(files: Files) -> bool:
    """Whether there are Parquet files: they hold the images, and others are previews."""
    return any(name.lower().endswith(".parquet") for name in files.names)


def _unwrapped(scope: Scope, params: Data) -> Scope:
    """Return the innermost folder, where each one above holds only the next, as in many zips."""
    folders = [f for f in scope.folders if scope.below(f).images]
    if len(folders) != 1 or scope.lists or any("/" not in image for image in scope.images):
        return scope
    inner = scope.below(folders[0])
    has_shape = inner.lists or any(inner.below(f).images for f in inner.folders)
    return _unwrapped(inner, params) if has_shape and not _split_folders(scope, params) else scope


def _split_folders(scope: Scope, params: Data) -> dict[str, str]:
    """Return the split of each folder that is one; none at all where none is for training."""
    asked = {params.train_split, params.valid_split}
    named = {f: f if f in asked else role_of(f) for f in scope.folders}
    found = {folder: split for folder, split in named.items() if split}
    return found if {"train", params.train_split} & set(found.values()) else {}


def _splits(scope: Scope, params: Data) -> dict[str, Part]:
    if folders := _split_folders(scope, params):
        parts = {split: scope.below(folder) for folder, split in folders.items()}
        return {split: Part(part, _lists(part)) for split, part in parts.items()}
    lists = _lists(scope)
    if any(is_metadata(file.name) for file in lists):
        return {"train": Part(scope, lists)}
    groups = by_split(lists) or {"train": []}
    return {split: Part(scope, tuple(group)) for split, group in groups.items()}


def _lists(scope: Scope) -> tuple[DataFile, ...]:
    """Return the lists of images in a folder: the one called metadata, or those with paths."""
    metadata = [name for name in scope.lists if is_metadata(name)]
    if metadata:
        return (scope.get(metadata[0]),)
    files = [scope.get(name) for name in scope.lists]
    find = _finder(scope)
    return tuple(f for f in files if column_of_paths(FileTable(f.name, (f,)), find))


def _finder(scope: Scope) -> Find:
    names = scope.finder()

    def find(cell: str) -> DataFile | None:
        name = names.get(plain(cell))
        return None if name is None else scope.get(name)

    return find


def _tables(chosen: Mapping[str, Part], params: Data, name: str) -> dict[str, Table]:
    tables: dict[str, Table] = {}
    classes: tuple[str, ...] = ()
    for role, part in chosen.items():
        called = f"{name} ({role})"
        if part.lists:
            tables[role] = _listed(part, params, called)
            continue
        found = images_by_class(part.scope)
        classes = classes or tuple(found)
        if new := sorted(set(found) - set(classes)):
            raise BadData(
                f"{part.scope.at(new[0])} is a class that the training images do not have; "
                f"they have: {', '.join(classes)}.",
                fix="Give the folders of all splits the same names.",
            )
        tables[role] = table_of(part.scope, found, classes, called)
    return tables


def _listed(part: Part, params: Data, called: str) -> Table:
    called = part.lists[0].name if len(part.lists) == 1 else called
    table, find = FileTable(called, part.lists), _finder(part.scope)
    known = is_metadata(part.lists[0].name)
    column = metadata_column(table) if known else column_of_paths(table, find)
    assert column is not None  # else it would be no list
    return with_images(table, column, find, params, part.scope.where)


def _notes(files: Files, scope: Scope, splits: Mapping[str, Part]) -> tuple[str, ...]:
    """Return what was left out: files that are neither images nor lists, images of no split."""
    lists = {file.name for part in splits.values() for file in part.lists}
    stray = [n for n in files.names if not is_media(n, scope.media) and n not in lists]
    prefixes = tuple(part.scope.prefix for part in splits.values())
    homeless = [n for n in files.names if is_media(n, scope.media) and not n.startswith(prefixes)]
    notes = []
    if stray or files.hidden:
        notes.append(f"ignored: {some([*stray, *files.hidden])}")
    if homeless:
        notes.append(f"in the folder of no split: {some(homeless)}")
    return tuple(notes)
