"""What training would make of the images, before anything is rented. Light: no torch, no PIL."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from worker.families.balance import few_steps, plan
from worker.families.numbers import spread, summed_up
from worker.families.pictures.examples import nothing
from worker.families.pictures.findings import left_out, not_validated, pixels
from worker.splits import Splits
from worker.task import DataReport, Finding
from worker.tasks.image_regression.examples import Scored, divided, read
from worker.tasks.image_regression.params import ImageRegressionParams


def inspect(params: ImageRegressionParams, splits: Splits) -> DataReport:
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
        *_numbers(data),
        *left_out(data.found, "a number"),
        *(left_out(valid.found, "a number") if valid else _unjudged(params)),
        plan(rows, steps, params, "images"),
        *few_steps(steps, params),
    ]
    return DataReport(
        findings=tuple(findings),
        rows=rows,
        valid_rows=round(len(valid_rows) * (1 if valid else scale)),
        units=rows,
        steps=steps,
    )


def _size(
    data: Scored[Any], valid: Scored[Any] | None, params: ImageRegressionParams, scale: float
) -> Finding:
    """How many images there are, how large, what their numbers are, and what is held out."""
    about = "" if scale == 1 else "about "
    parts = [
        data.found.source,
        f"{about}{round(len(data.found.examples) * scale):,} images",
        f'"{data.target}" {summed_up(data.numbers)}' if data.numbers else "",
    ]
    if valid is not None:
        parts.append(f"{len(valid.found.examples):,} for validation from {valid.found.source}")
    elif params.valid_share is not None:
        parts.append(f"{params.valid_share:.0%} held out for validation")
    return Finding("ok", "data", " · ".join(filter(None, [*parts, pixels(data.found)])))


def _numbers(data: Scored[Any]) -> Iterable[Finding]:
    if not data.numbers:
        yield Finding("error", "data", f"no row of {data.found.source} has an image and a number")
    yield from spread(data.numbers, data.target, data.declared, "hubtrain image-classification")


def _unjudged(params: ImageRegressionParams) -> Iterable[Finding]:
    return not_validated(params, "how far off the model is")
