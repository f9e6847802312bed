"""What training would make of images and boxes, before anything is rented. Light."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from worker.families.balance import counted, few_steps, plan, uneven, validated
from worker.families.balance import rows as rows_that
from worker.families.pictures.examples import nothing
from worker.families.pictures.findings import left_out, not_validated, pixels
from worker.splits import Splits
from worker.task import DataReport, Finding, ModelFacts
from worker.tasks.object_detection.boxes import Checked, checked
from worker.tasks.object_detection.examples import Annotated, divided, read
from worker.tasks.object_detection.kinds import side_of
from worker.tasks.object_detection.params import DetectionParams

MOST = 0.5
"""Share of the boxes from which they are taken to be written in another way."""


def inspect(params: DetectionParams, splits: Splits, facts: ModelFacts) -> DataReport:
    """Return what training would make of the data. Raises `BadData`.

    `splits` may hold only the first rows of each split: counts are then scaled up to `total`.
    """
    split = splits["train"]
    data = read(split, params, split.first(params.max_samples), nothing)
    valid = (
        read(splits["valid"], params, splits["valid"].rows, nothing) if "valid" in splits else None
    )
    train_rows, valid_rows = divided(data, valid, params)
    scale = max(1.0, params.taken(split.total) / data.found.read) if data.found.read else 1.0
    rows = round(len(train_rows) * scale)
    steps = params.steps(max(1, rows))
    findings = [
        _size(data, valid, params, scale),
        *_nothing_to_learn(data),
        *_odd(data),
        *(_odd(valid) if valid else ()),
        *uneven(data.counts, "boxes", scale),
        *_validated(data, valid, params, scale),
        *_shown(params, facts),
        plan(rows, steps, params, "images"),
        *few_steps(steps, params),
    ]
    return DataReport(
        findings=tuple(findings),
        rows=rows,
        valid_rows=round(len(valid_rows) * (1 if valid else scale)),
        units=rows,
        steps=steps,
        classes=len(data.classes),
    )


def _size(
    data: Annotated[Any], valid: Annotated[Any] | None, params: DetectionParams, scale: float
) -> Finding:
    """How many images and boxes there are, of how many classes, and what is held out."""
    about, found, counts = "" if scale == 1 else "about ", data.found, data.counts
    images, boxes = (round(n * scale) for n in (len(found.examples), sum(counts.values())))
    named = counted(counts, scale)
    parts = [
        found.source,
        f"{about}{images:,} images with {boxes:,} boxes of {len(counts):,} classes: {named}",
    ]
    if data.background:
        parts.append(f"{about}{round(data.background * scale):,} of nothing, kept as background")
    if valid is not None:
        parts.append(f"{len(valid.found.examples):,} for validation from {valid.found.source}")
    elif params.valid_share is not None:
        parts.append(f"{params.valid_share:.0%} held out for validation")
    return Finding("ok", "data", " · ".join(filter(None, [*parts, pixels(found)])))


def _nothing_to_learn(data: Annotated[Any]) -> Iterable[Finding]:
    source = data.found.source
    if not data.found.examples:
        yield Finding("error", "data", f"no row of {source} has an image")
    elif not data.used and not data.broken:
        text = f'nothing is on any image: the column "{data.column}" has no boxes'
        yield Finding("error", "data", text, fix="--objects-column with the column of the boxes")


def _odd(data: Annotated[Any]) -> Iterable[Finding]:
    """Rows that cannot be read, images that are left out, and boxes that are none."""
    for what, numbers in data.broken.items():
        where = f'of {data.found.source} with {what} in the column "{data.column}"'
        text = rows_that(numbers, where)
        fix = '{"bbox": [[x, y, width, height], …], "category": [name, …]} in each'
        yield Finding("error", "data", text, fix)
    yield from left_out(data.found, "objects")
    examples = data.found.examples
    yield from _boxes(checked([(each.row, each.label, each.size) for each in examples]))


def _boxes(found: Checked) -> Iterable[Finding]:
    if found.corners > MOST * found.boxes:
        text = "most boxes reach out of their images, and would not if they were two corners"
        fix = "write [x, y, width, height], not [x1, y1, x2, y2]"
        yield Finding("error", "data", text, fix)
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


def _validated(
    data: Annotated[Any], valid: Annotated[Any] | None, params: DetectionParams, scale: float
) -> Iterable[Finding]:
    if valid is None:
        yield from not_validated(params, "how well objects are found")
    else:
        whole = scale == 1
        yield from validated(data.used, valid.used, valid.found.source, "image", whole=whole)


def _shown(params: DetectionParams, facts: ModelFacts) -> Iterable[Finding]:
    """How large the model sees images, where that is not as asked."""
    asked = params.image_square_size
    side = side_of(str(facts.config.get("model_type")), asked)
    if facts.known and side != asked:
        text = f"{facts.name} sees images of {side} x {side} points: it takes multiples of 32"
        yield Finding("ok", "model", text)
