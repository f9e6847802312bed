"""What training would make of images and boxes, before anything is rented. Light."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from worker.bars import by_class, by_length
from worker.families.balance import classes, counted, doubtful, validated
from worker.families.balance import rows as rows_that
from worker.families.divided import not_validated, size
from worker.families.pictures.corpus import PictureCorpus, gathered
from worker.families.pictures.findings import left_out, pixels
from worker.families.pictures.report import report
from worker.splits import Splits
from worker.task import DataReport, Finding, ModelFacts
from worker.tasks.object_detection.boxes import Checked, checked
from worker.tasks.object_detection.examples import Annotated, read
from worker.tasks.object_detection.kinds import side_of
from worker.tasks.object_detection.params import DetectionParams

MOST = 0.5
"""Share of the boxes from which they are taken to be written in another way."""

AS_STORED = 0.1
"""The same of boxes on turned photos: of those that are drawn on a photo as it is stored, most are
where it has pixels as it is shown too."""


def inspect(params: DetectionParams, splits: Splits, facts: ModelFacts) -> DataReport:
    """Return what training would make of the data. Raises `BadData`.

    `splits` may hold only the first rows of each split: counts are then scaled up to `total`.
    """
    corpus = gathered(splits, params, read)
    data, valid = corpus.train, corpus.valid
    about = [
        _size(corpus, params),
        *_nothing_to_learn(data),
        *_odd(data),
        *(_odd(valid) if valid else ()),
        *doubtful(data.counts, "boxes", corpus.scale),
        *_validated(corpus, params),
        *_shown(params, facts),
    ]
    bars = (
        by_class("Boxes by class", data.counts, corpus.scale),
        by_length("Images by boxes", (len(e.label) for e in data.examples), corpus.scale),
    )
    return replace(report(corpus, params, about), classes=len(data.classes), bars=bars)


def _size(corpus: PictureCorpus[Annotated[Any]], params: DetectionParams) -> Finding:
    """How many images and boxes there are, of how many classes, and what is held out."""
    data, counts = corpus.train, corpus.train.counts
    boxes = f"{round(sum(counts.values()) * corpus.scale):,} boxes of {classes(len(counts))}"
    images, named = corpus.about(len(data.examples)), counted(counts, corpus.scale)
    background = [f"{corpus.about(data.background)} of nothing, kept as background"]
    told = [f"{images} images with {boxes}: {named}", *(background if data.background else [])]
    turned = sum(each.turned for each in data.examples)
    photos = [f"{corpus.about(turned)} turned as their EXIF says"] if turned else []
    return size(corpus, params, *told, *pixels(data), *photos)


def _nothing_to_learn(data: Annotated[Any]) -> Iterable[Finding]:
    if not data.examples:
        yield Finding("error", "data", f"no row of {data.source} has an image")
    elif not data.used and not data.broken:
        text = f'nothing is on any image: the column "{data.column}" has no boxes'
        yield Finding("error", "data", text, fix="--objects-column with the column of the boxes")


def _odd(data: Annotated[Any]) -> Iterable[Finding]:
    """Rows that cannot be read, images that are left out, and boxes that are none."""
    for what, numbers in data.broken.items():
        where = f'of {data.source} with {what} in the column "{data.column}"'
        text = rows_that(numbers, where)
        fix = '{"bbox": [[x, y, width, height], …], "category": [name, …]} in each'
        yield Finding("error", "data", text, fix)
    yield from left_out(data, "objects")
    looked = ((each.row, each.label, each.size, each.turned) for each in data.examples)
    yield from _boxes(checked(looked))


def _boxes(found: Checked) -> Iterable[Finding]:
    if found.corners > MOST * found.boxes:
        text = "most boxes reach out of their images, and would not if they were two corners"
        fix = "write [x, y, width, height], not [x1, y1, x2, y2]"
        yield Finding("error", "data", text, fix)
    elif found.stored > AS_STORED * found.turned:
        text = f"{found.stored:,} boxes reach out of photos as their EXIF turns them, which is how "
        fix = "draw boxes on the photos as they are shown, or save the photos turned, without EXIF"
        yield Finding("error", "data", f"{text}they are shown, and not as they are stored", fix)
    elif found.shares > MOST * found.boxes:
        text = "most boxes have no number above 1, as if they were shares of the image"
        yield Finding("error", "data", text, fix="write x, y, width and height in pixels")
    if found.flat:
        what = rows_that(found.flat, "with a box without width or height")
        yield Finding("warn", "data", f"{what}: the box is left out")
    if found.outside:
        what = rows_that(found.outside, "with a box outside of the image")
        yield Finding("warn", "data", f"{what}: the box is left out")
    if found.across:
        what = rows_that(found.across, "with a box that reaches out of the image")
        yield Finding("warn", "data", f"{what}: it is cut off at the edge")


def _validated(corpus: PictureCorpus[Annotated[Any]], params: DetectionParams) -> Iterable[Finding]:
    if (valid := corpus.valid) is None:
        yield from not_validated(corpus, params, "how well objects are found", "image")
    else:
        used, whole = corpus.train.used, corpus.scale == 1
        yield from validated(used, valid.used, valid.source, "image", whole=whole)


def _shown(params: DetectionParams, facts: ModelFacts) -> Iterable[Finding]:
    """How large the model sees images, where that is not as asked."""
    asked = params.image_square_size
    side = side_of(str(facts.config.get("model_type")), asked)
    if facts.known and side != asked:
        text = f"{facts.name} sees images of {side} x {side} points: it takes multiples of 32"
        yield Finding("ok", "model", text)
