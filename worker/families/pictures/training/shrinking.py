"""How many times fewer pixels a side an image has once a processor is done with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PIL import Image

from worker.families.pictures.training.photo import Size

SLACK = 1.01
"""How far a side may be off for having been rounded."""

PROBES = (2048, 1536), (1536, 2048)
"""Sizes of the images by which it is proved, which are those of a photo."""


class Shrinking:
    """What a processor's settings say of it, told `how` to size images.

    Where it turns out to do something else, to cut an image into tiles or to show it larger, images
    are not smaller, as far as is known here.
    """

    def __init__(self, processor: Any, **how: Any) -> None:
        told = processor.to_dict() | how
        sizes = told.get("size") if told.get("do_resize") else None
        known = sizes if isinstance(sizes, Mapping) else {}
        # before it cuts out the middle, a processor may make an image larger by this
        rest = float(told.get("crop_pct") or 1)
        self.sizes: dict[str, float] = {n: value / rest for n, value in known.items() if value}
        if not all(_holds(self.of(probe), probe, processor, how) for probe in PROBES):
            self.sizes = {}

    def of(self, size: Size) -> float:
        """Return how many times fewer pixels a side an image of this size gets, at least."""
        (width, height), sizes = size, self.sizes
        shrinking = 1.0
        if "shortest_edge" in sizes:
            shrinking = min(size) / sizes["shortest_edge"]
        elif "longest_edge" in sizes:
            shrinking = max(size) / sizes["longest_edge"]
        elif {"height", "width"} <= {*sizes}:
            shrinking = min(width / sizes["width"], height / sizes["height"])
        elif {"max_height", "max_width"} <= {*sizes}:
            shrinking = max(width / sizes["max_width"], height / sizes["max_height"])
        return max(1, shrinking)


def _holds(shrinking: float, size: Size, processor: Any, how: Mapping[str, Any]) -> bool:
    """Whether a processor makes one image of an image, which is as much smaller, or more."""
    if shrinking <= 1:
        return True
    try:
        made = processor(Image.new("RGB", size), return_tensors="np", **how)["pixel_values"]
        shape: tuple[int, ...] = (len(made), *made[0].shape)
        *count, _, height, width = shape
    except (TypeError, ValueError, AttributeError, KeyError):  # it is more than images to it
        return False
    share = max(width / size[0], height / size[1])
    return bool(count) and all(n == 1 for n in count) and shrinking * share < SLACK
