"""Digits that people wrote, as scikit-learn carries them."""

from __future__ import annotations

import io
from functools import cache

from PIL import Image

from benchmarks._real.packaged import Split, divided


def digits() -> Split:
    """Return digits (1,797, of 8 x 8 points), and which each is, as a word."""
    return divided([{"image": _png(image), "label": str(digit)} for image, digit in _written()])


def values() -> Split:
    """Return the same digits, and their values as numbers."""
    return divided([{"image": _png(image), "target": float(digit)} for image, digit in _written()])


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
