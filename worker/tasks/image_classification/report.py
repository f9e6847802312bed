"""What training would make of the images, before anything is rented. Light: no torch, no PIL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from worker.families.balance import FEW, counted, few_steps, plan, uneven, validated
from worker.families.balance import rows as rows_that
from worker.imagefile import MOST_PIXELS
from worker.splits import Splits
from worker.task import DataReport, Finding, ModelFacts
from worker.tasks.image_classification.examples import Examples, divided, read
from worker.tasks.image_classification.params import ImageParams


def inspect(params: ImageParams, splits: Splits, facts: ModelFacts) -> DataReport:
    """Return what training would make of the data. Raises `BadData`.

    `splits` may hold only the first rows of each split: counts are then scaled up to `total`.
    """
    split = splits["train"]
    found = read(split, params, split.first(params.max_samples), _nothing)
    valid = (
        read(splits["valid"], params, splits["valid"].rows, _nothing) if "valid" in splits else None
    )
    train_rows, valid_rows = divided(found, valid, params)
    scale = max(1.0, params.taken(split.total) / found.read) if found.read else 1.0
    rows = round(len(train_rows) * scale)
    steps = params.steps(max(1, rows))
    findings = [
        _size(found, valid, params, scale),
        *_nothing_to_learn(found),
        *_left_out(found),
        *(_left_out(valid) if valid else ()),
        *uneven(found.counts, "images", scale),
        *(_validated(found, valid, scale) if valid else _not_validated(params)),
        *_head(found, facts),
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


def _nothing(content: bytes) -> None:
    """Keep nothing of an image: the check needs only to know that there is one."""


def _size(
    found: Examples[Any], valid: Examples[Any] | None, params: ImageParams, scale: float
) -> Finding:
    """How many images there are, of how many classes, and what is held out."""
    about = "" if scale == 1 else "about "
    counts = found.counts
    images = round(len(found.examples) * scale)
    parts = [
        found.source,
        f"{about}{images:,} images in {len(counts):,} classes: {counted(counts, scale)}",
    ]
    if valid is not None:
        parts.append(f"{len(valid.examples):,} for validation from {valid.source}")
    elif params.valid_share is not None:
        parts.append(f"{params.valid_share:.0%} of each class held out for validation")
    return Finding("ok", "data", " · ".join(parts))


def _nothing_to_learn(found: Examples[Any]) -> Iterable[Finding]:
    """Find that there are no images, or nothing to tell apart."""
    if not found.examples:
        yield Finding("error", "data", f"no row of {found.source} has an image and a class")
        return
    used = [name for name, count in found.counts.items() if count]
    if len(used) == 1:
        text = f'all images are of the class "{used[0]}": there is nothing to tell apart'
        yield Finding("error", "data", text, fix="--target-column, or a folder for each class")
    elif len(used) == len(found.examples) > FEW:
        text = f'each image has a class of its own in the column "{found.target}"'
        yield Finding("error", "data", text, fix="--target-column with the column of the classes")


def _left_out(found: Examples[Any]) -> Iterable[Finding]:
    """Rows that are no examples, and images that are damaged."""
    if found.empty:
        yield Finding("warn", "data", f"{rows_that(found.empty, 'without an image')}: left out")
    if found.unlabelled:
        yield Finding("warn", "data", f"{rows_that(found.unlabelled, 'without a class')}: left out")
    if found.unreadable:
        what = rows_that(found.unreadable, "with something that is no readable image")
        phones = found.photos_of_phones
        fix = f"convert the {phones:,} HEIC photos to JPEG" if phones else ""
        yield Finding("warn", "data", f"{what}: left out", fix)
    if found.too_large:
        most = f"{MOST_PIXELS / 1e6:,.0f} million pixels"
        what = rows_that(found.too_large, f"with an image of more than {most}")
        yield Finding("warn", "data", f"{what}: left out", "make smaller copies of them")
    if found.damaged:
        what = rows_that(found.damaged, "with an image that is cut short or damaged")
        yield Finding("warn", "data", f"{what}: shown to the model as far as it goes")


def _validated(found: Examples[Any], valid: Examples[Any], scale: float) -> Iterable[Finding]:
    learned, seen = ({e.label for e in each.examples} for each in (found, valid))
    return validated(learned, seen, valid.source, "image", whole=scale == 1)


def _not_validated(params: ImageParams) -> Iterable[Finding]:
    if params.valid_share is None:
        text = "nothing is held out: nobody will know how often the model is right"
        yield Finding("warn", "data", text, fix="--valid-split 0.2")


def _head(found: Examples[Any], facts: ModelFacts) -> Iterable[Finding]:
    """What becomes of the classes that the model knows."""
    if not facts.known:
        return
    known, wanted = labels_of(facts.config), len(found.classes)
    if not known:
        text = f"{facts.name} gets a head for {wanted:,} classes"
    elif len(known) != wanted:
        text = (
            f"a new head for {wanted:,} classes takes the place of that of {facts.name} "
            f"for {len(known):,}"
        )
    else:
        text = f"the head of {facts.name} for {wanted:,} classes is trained on"
    yield Finding("ok", "model", text)


def labels_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the classes that a model knows by its `config.json`; none where it has no head."""
    classes = config.get("architectures")
    named = config.get("id2label")
    head = isinstance(classes, list) and any("Classification" in str(name) for name in classes)
    if not head:
        return ()
    if not isinstance(named, Mapping):  # which transformers leaves out for two of them
        return ("LABEL_0", "LABEL_1")
    return tuple(str(named[key]) for key in sorted(named, key=int))
