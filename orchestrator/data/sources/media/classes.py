"""One folder per class: its name is the label of the images in it."""

from __future__ import annotations

import unicodedata
from itertools import chain, zip_longest

import pyarrow as pa

from orchestrator.data.sources.media.listing import IMAGE_COLUMN
from orchestrator.data.sources.media.scope import Scope
from orchestrator.data.sources.media.table import ImageTable, Rows
from worker.errors import BadData
from worker.reading.classes import with_features

LABEL_COLUMN = "label"
PATHS = "file_name"

Classes = dict[str, list[str]]
"""The images of each class, by their paths in the scope."""


def images_by_class(scope: Scope) -> Classes:
    """Return the images in each folder of `scope`. Raises `BadData` if that says no classes."""
    found: Classes = {folder: [] for folder in scope.folders}
    loose: list[str] = []
    for path in scope.images:
        folder = path.rpartition("/")[0]
        if "/" in folder:
            raise _nested(scope, folder)
        (found[folder] if folder else loose).append(path)
    if loose:
        raise _loose(scope, loose, [f for f, images in found.items() if images])
    empty = [folder for folder, images in found.items() if not images]
    if empty:
        raise BadData(
            f"the folder {scope.at(empty[0])} holds no images ({', '.join(scope.media)}).",
            fix="Put images into it, or remove it: each folder is a class.",
        )
    if len(found) == 1:
        raise BadData(
            f"{scope.where} has a single folder of images, {scope.at(next(iter(found)))}, "
            "and so one class.",
            fix="Give the folder that holds one folder per class, two or more.",
        )
    return {unicodedata.normalize("NFC", name): found[name] for name in sorted(found)}


def table_of(scope: Scope, found: Classes, classes: tuple[str, ...], name: str) -> ImageTable:
    """Return the images in turns, one of each class, so that the first rows show all of them."""
    numbers = {label: number for number, label in enumerate(classes)}
    labels = {path: numbers[label] for label, paths in found.items() for path in paths}
    turns = chain.from_iterable(zip_longest(*found.values()))
    order = [path for path in turns if path is not None]
    rows = pa.table({PATHS: order, LABEL_COLUMN: [labels[path] for path in order]})
    label = {"_type": "ClassLabel", "names": list(classes)}
    rows = rows.cast(with_features(rows.schema, {LABEL_COLUMN: label}))
    files = {path: scope.get(path) for path in order}
    return ImageTable(name, Rows(name, rows), PATHS, IMAGE_COLUMN, files)


def _nested(scope: Scope, folder: str) -> BadData:
    outer = folder.rpartition("/")[0]
    return BadData(
        f"{scope.at(folder)} is a folder of images within the folder {scope.at(outer)}: a class is "
        "one folder, and its images lie in it.",
        fix=f"Move its images into {scope.at(outer)}, or the folder beside it as another class.",
    )


def _loose(scope: Scope, loose: list[str], classes: list[str]) -> BadData:
    more = f" and {len(loose) - 1:,} more" if len(loose) > 1 else ""
    first = scope.at(loose[0])
    if classes:
        return BadData(
            f"{first}{more} lie{'s' if not more else ''} beside the folders of classes "
            f"({', '.join(classes[:3])}).",
            fix="Move each into the folder of its class.",
        )
    return BadData(
        f"{scope.where} holds images ({first}{more}), and nothing says what they show.",
        fix="Make one folder per class, or a metadata.csv with the columns file_name and label.",
    )
