"""How well boxes are found, as COCO judges it, by its own tool and without a file or a word.

`map` is the mean, over classes and over overlaps of 0.5 to 0.95, of the precision at 101 recalls
(Lin et al. 2014; cocodataset.org/#detection-eval); `mar_N` the mean recall with N boxes an image.
Small is below 32² pixels, large from 96² on. Where no box of a kind is there, there is no number.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from worker.evaluation_plots import LETTERS, curves
from worker.families.training.measures import Numbers
from worker.shorten import shortened
from worker.tasks.object_detection.training.pictures import Truth

AREAS = {"": 0, "_small": 1, "_medium": 2, "_large": 3}
MOST = (1, 10, 100)
"""Boxes of an image that count, as COCO's tool has them."""

HALF, THREE_QUARTERS = 0, 5
"""Places of the overlaps 0.5 and 0.75 among 0.5, 0.55, … 0.95."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a model found on an image."""

    boxes: Numbers
    """(boxes, 4): left, top, right, bottom in pixels."""

    classes: Numbers
    scores: Numbers


def measured(
    truth: Sequence[Truth], found: Sequence[Found], classes: Sequence[str]
) -> dict[str, float]:
    """Return the measures of what was found on images, and `map_CLASS` of each class."""
    judge = judged(truth, found, len(classes))
    if judge is None:
        return {}
    precision, recall = judge.eval["precision"], judge.eval["recall"]
    told: dict[str, float] = {}
    if len(classes) > 1:
        told = {f"map_{c}": _mean(precision[:, :, i, 0, -1]) for i, c in enumerate(classes)}
    told |= {f"map{area}": _mean(precision[:, :, :, i, -1]) for area, i in AREAS.items()}
    for overlap, place in ((50, HALF), (75, THREE_QUARTERS)):
        told[f"map_{overlap}"] = _mean(precision[place, :, :, 0, -1])
    told |= {f"mar_{most}": _mean(recall[:, :, 0, i]) for i, most in enumerate(MOST)}
    told |= {f"mar{area}": _mean(recall[:, :, i, -1]) for area, i in AREAS.items() if area}
    return {name: value for name, value in told.items() if not np.isnan(value)}


def draw(
    truth: Sequence[Truth], found: Sequence[Found], classes: Sequence[str], folder: Path
) -> None:
    """Draw precision over recall of boxes that overlap by half, of all classes and of each.

    Precisions are COCO's: at 101 recalls, each the best at that recall or more.
    """
    if (judge := judged(truth, found, len(classes))) is None:
        return
    counts = np.bincount([int(c) for one in truth for c in one.classes], minlength=len(classes))
    common = [int(i) for i in np.argsort(-counts, kind="stable") if counts[i]]
    each = {i: judge.eval["precision"][HALF, :, i, 0, -1] for i in common}
    named = {shortened(classes[i], LETTERS): precision for i, precision in each.items()}
    if len(common) > 1:
        named = {"all classes": np.mean(list(each.values()), axis=0), **named}
    recalls = judge.params.recThrs.tolist()
    lines = {
        f"{name} {precision.mean():.3g}": list(zip(recalls, precision.tolist(), strict=True))
        for name, precision in named.items()
    }
    curves(lines, folder, "precision (overlap from 0.5)")


def judged(truth: Sequence[Truth], found: Sequence[Found], classes: int) -> Any:
    """Return COCO's judge, `eval` filled; none where there is nothing to find."""
    objects = [
        _object(image, box, int(number))
        for image, one in enumerate(truth, 1)
        for box, number in zip(one.boxes, one.classes, strict=True)
    ]
    for place, each in enumerate(objects, 1):
        each["id"] = place
    if not objects:
        return None
    said = [
        {"image_id": image, "category_id": int(number), "bbox": _sides(box), "score": float(score)}
        for image, one in enumerate(found, 1)
        for box, number, score in zip(one.boxes, one.classes, one.scores, strict=True)
    ]
    with redirect_stdout(io.StringIO()):  # it tells all it does
        known = COCO()
        known.dataset = {
            "images": [{"id": image} for image in range(1, len(truth) + 1)],
            "categories": [{"id": number} for number in range(classes)],
            "annotations": objects,
        }
        known.createIndex()
        judge = COCOeval(known, _said(known, said), "bbox")
        judge.evaluate()
        judge.accumulate()
    return judge


def _said(known: COCO, said: list[dict[str, Any]]) -> COCO:
    if said:
        return known.loadRes(said)
    nothing = COCO()
    nothing.dataset = {**known.dataset, "annotations": []}
    nothing.createIndex()
    return nothing


def _object(image: int, box: Numbers, number: int) -> dict[str, Any]:
    x, y, width, height = _sides(box)
    return {
        "image_id": image,
        "category_id": number,
        "bbox": [x, y, width, height],
        "area": width * height,
        "iscrowd": 0,
    }


def _sides(box: Numbers) -> list[float]:
    left, top, right, bottom = map(float, box)
    return [left, top, right - left, bottom - top]


def _mean(values: Numbers) -> float:
    """Return the mean where there is one: -1 says that nothing was there to be found."""
    kept = values[values > -1]
    return float(kept.mean()) if kept.size else float("nan")
