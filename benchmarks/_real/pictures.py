"""Digits that people wrote, as scikit-learn carries them, and nuclei under a microscope."""

from __future__ import annotations

import io
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from PIL import Image

from benchmarks._real import packaged
from benchmarks._real.packaged import Split, divided

TILE, STEP = 128, 32
"""Points of a tile's side, and from one to the next among those that are learned from."""

LEAST_AREA = 25
"""Points of a nucleus below which a tile has none of it."""

BRIGHTEST = 99.8
"""Percentile from which all points are white."""


def digits() -> Split:
    """Return digits (1,797, of 8 x 8 points), and which each is, as a word."""
    return divided([{"image": _png(image), "label": str(digit)} for image, digit in _written()])


def values() -> Split:
    """Return the same digits, and their values as numbers."""
    return divided([{"image": _png(image), "target": float(digit)} for image, digit in _written()])


def nuclei(*, right: bool = False) -> Split:
    """Return tiles of a picture, and boxes of the nuclei on them.

    Those of its left half, or of its `right` one, are learned from and overlap; those of the other
    lie side by side.
    """
    picture, mask = map(_points, packaged.nuclei())
    height, width = picture.shape
    halves = [range(width // 2), range(width // 2, width)]
    learned, judging = reversed(halves) if right else halves
    lefts = range(learned.start, learned.stop - TILE + 1, STEP)
    near = product(range(0, height - TILE + 1, STEP), lefts)
    apart = product(range(0, height, TILE), judging[::TILE])
    first, second = ([_tile(picture, mask, *at) for at in corners] for corners in (near, apart))
    return first, second


def _points(file: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(file)))


def _tile(picture: Any, mask: Any, top: int, left: int) -> dict[str, Any]:
    part = slice(top, top + TILE), slice(left, left + TILE)
    low, high = picture.min(), np.percentile(picture, BRIGHTEST)
    shades = np.clip((picture[part] - float(low)) / (high - low), 0, 1)
    image = Image.fromarray((255 * shades).round().astype("uint8")).convert("RGB")
    boxes = [_box(mask[part] == number) for number in np.unique(mask[part]) if number]
    kept = [box for box in boxes if box]
    return {"image": _png(image), "objects": {"bbox": kept, "category": ["nucleus"] * len(kept)}}


def _box(points: Any) -> list[float]:
    """Return the box (x, y, width, height) of points; empty where they are too few."""
    if points.sum() < LEAST_AREA:
        return []
    down, across = (np.flatnonzero(points.any(axis=axis)) for axis in (1, 0))
    corner = (across[0], down[0], np.ptp(across) + 1, np.ptp(down) + 1)
    return [float(length) for length in corner]


@cache
def _written() -> list[tuple[Image.Image, int]]:
    from sklearn.datasets import load_digits

    found = load_digits()
    points = (255 / 16 * found.images).round().astype("uint8")
    return [
        (Image.fromarray(one).convert("RGB"), int(digit))
        for one, digit in zip(points, found.target, strict=True)
    ]


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
