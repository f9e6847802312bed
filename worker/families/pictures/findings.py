"""What the check finds about pictures, whatever is learned of them. Light."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from worker.families.balance import rows as rows_that
from worker.families.pictures.examples import Examples
from worker.finding import Finding
from worker.imagefile import MOST_PIXELS


def left_out(found: Examples[Any, Any], label: str) -> Iterable[Finding]:
    """Rows that are no examples, and images that are damaged; `label` is what a row may lack."""
    if found.empty:
        yield Finding("warn", "data", f"{rows_that(found.empty, 'without an image')}: left out")
    if found.unlabelled:
        what = rows_that(found.unlabelled, f"without {label}")
        yield Finding("warn", "data", f"{what}: left out")
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


def pixels(found: Examples[Any, Any]) -> list[str]:
    """Return how large the images are, in words; nothing where no header tells."""
    ordered = sorted(found.sizes, key=lambda size: size[0] * size[1])
    if not ordered:
        return []
    least, middle, most = (ordered[i] for i in (0, len(ordered) // 2, -1))
    if least == most:
        return [f"images of {_points(least)} pixels"]
    return [f"images of {_points(least)} to {_points(most)} pixels, half below {_points(middle)}"]


def _points(size: tuple[int, int]) -> str:
    return f"{size[0]:,} x {size[1]:,}"
