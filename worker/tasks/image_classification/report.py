"""What training would make of the images, before anything is rented. Light: no torch, no PIL."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from worker.families.balance import FEW, counted, few_steps, plan, uneven, validated
from worker.families.heads import new_head
from worker.families.pictures.examples import nothing
from worker.families.pictures.findings import left_out, not_validated, pixels
from worker.splits import Splits
from worker.task import DataReport, Finding, ModelFacts
from worker.tasks.image_classification.examples import Classified, divided, read
from worker.tasks.image_classification.params import ImageParams


def inspect(params: ImageParams, splits: Splits, facts: ModelFacts) -> DataReport:
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
        *left_out(data.found, "a class"),
        *(left_out(valid.found, "a class") if valid else ()),
        *uneven(data.counts, "images", scale),
        *_validated(data, valid, params, scale),
        *new_head(facts, len(data.classes)),
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
    data: Classified[Any], valid: Classified[Any] | None, params: ImageParams, scale: float
) -> Finding:
    """How many images there are, of how many classes, how large, and what is held out."""
    about = "" if scale == 1 else "about "
    counts, found = data.counts, data.found
    images = round(len(found.examples) * scale)
    several = ", several for an image" if data.several else ""
    parts = [
        found.source,
        f"{about}{images:,} images in {len(counts):,} classes{several}: {counted(counts, scale)}",
    ]
    if valid is not None:
        parts.append(f"{len(valid.found.examples):,} for validation from {valid.found.source}")
    elif params.valid_share is not None:
        of = "" if data.several else " of each class"
        parts.append(f"{params.valid_share:.0%}{of} held out for validation")
    return Finding("ok", "data", " · ".join(filter(None, [*parts, pixels(found)])))


def _nothing_to_learn(data: Classified[Any]) -> Iterable[Finding]:
    """Find that there are no images, or nothing to tell apart."""
    found = data.found
    if not found.examples:
        yield Finding("error", "data", f"no row of {found.source} has an image and a class")
        return
    used = sorted(data.used)
    if not used:
        text = f'no image is of any class: the column "{data.target}" holds empty lists'
        yield Finding("error", "data", text, fix="--target-column with the column of the classes")
    elif data.several:
        return
    elif len(used) == 1:
        text = f'all images are of the class "{used[0]}": there is nothing to tell apart'
        yield Finding("error", "data", text, fix="--target-column, or a folder for each class")
    elif len(used) == len(found.examples) > FEW:
        text = f'each image has a class of its own in the column "{data.target}"'
        yield Finding("error", "data", text, fix="--target-column with the column of the classes")


def _validated(
    data: Classified[Any], valid: Classified[Any] | None, params: ImageParams, scale: float
) -> Iterable[Finding]:
    if valid is None:
        yield from not_validated(params, "how often the model is right")
    elif valid.several != data.several:
        lists = data.found.source if data.several else valid.found.source
        text = f"only {lists} has lists of classes: both splits need them, or neither"
        yield Finding("error", "data", text)
    else:
        whole = scale == 1
        yield from validated(data.used, valid.used, valid.found.source, "image", whole=whole)
