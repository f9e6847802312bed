"""A photo of millions of points is decoded as small as a model sees it, and looks the same."""

from __future__ import annotations

import io
import sys
from functools import cache
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from worker.errors import BadConfig, BadData
from worker.families.pictures.training.photo import Photo
from worker.families.pictures.training.shrinking import Shrinking
from worker.families.pictures.training.store import opened

pytestmark = pytest.mark.slow

SIZE = (1608, 1203)
"""No multiple of 16: blocks of a JPEG stand out over its edges."""


@cache
def painted() -> Image.Image:
    """Return clouds with finer clouds in them, and grain."""
    chance = np.random.default_rng(3)
    shades = chance.normal(127, 3, (SIZE[1], SIZE[0], 3))
    for across, strength in ((12, 0.7), (50, 0.3), (400, 0.2)):
        small = chance.integers(0, 255, (across, across, 3), dtype=np.uint8)
        clouds = Image.fromarray(small).resize(SIZE, Image.Resampling.BICUBIC)
        shades += strength * (np.asarray(clouds, dtype=float) - 127)
    return Image.fromarray(shades.clip(0, 255).astype(np.uint8))


def written(kind: str = "JPEG", *, mode: str = "RGB", turn: int = 1, **more: Any) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = turn
    painted().convert(mode).save(out := io.BytesIO(), kind, exif=exif, **more)
    return out.getvalue()


def photo(content: bytes) -> Photo:
    return Photo(io.BytesIO(content), lambda error: BadData(f"no picture: {error}"))


def seen(image: Image.Image, side: int) -> Any:
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR), dtype=float)


@pytest.mark.parametrize("side", [32, 90, 224])
@pytest.mark.parametrize(
    "how", [{}, {"turn": 6}, {"turn": 3}, {"mode": "L"}, {"mode": "CMYK"}, {"progressive": True}]
)
def test_a_photo_decoded_small_looks_as_the_whole_does(how: dict[str, Any], side: int) -> None:
    content = written(**how)
    whole, small = photo(content), photo(content)
    assert whole.size == small.size == (SIZE[::-1] if how.get("turn") == 6 else SIZE)
    all_of_it = whole.pixels()
    assert all_of_it.size == whole.size
    some = small.pixels(min(small.size) / side)
    assert 2 * side <= min(some.size)  # twice as large as it is seen, at least
    assert min(some.size) <= 4 * side or min(some.size) == -(-SIZE[1] // 8)
    off = np.abs(seen(all_of_it, side) - seen(some, side))
    assert off.mean() < 1.5 and off.max() <= 12  # of 255


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "AVIF", "MPO"])
def test_what_is_no_plain_jpeg_is_decoded_too(kind: str) -> None:
    content = written(kind, turn=6)
    image = photo(content).pixels(10)
    assert image.mode == "RGB" and photo(content).size == SIZE[::-1]
    off = np.abs(seen(image, 100) - seen(photo(content).pixels(), 100))
    assert off.max() <= (12 if kind == "MPO" else 0)


def test_a_part_of_a_photo_is_found_on_what_was_decoded_of_it() -> None:
    whole, small = photo(written(turn=6)), photo(written(turn=6))
    part = (100, 200, 1000, 1500)
    same = [one.pixels(much) for one, much in ((whole, 1), (small, 9))]
    assert same[1].width == -(-SIZE[1] // 4)
    cut = [
        np.asarray(image.resize((90, 130), Image.Resampling.BILINEAR, one.place(part, image)))
        for one, image in zip((whole, small), same, strict=True)
    ]
    assert np.abs(cut[0].astype(float) - cut[1]).mean() < 1


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff", b"no picture", written()[:300]])
def test_what_is_no_photo_is_refused_as_the_caller_says(content: bytes) -> None:
    with pytest.raises(BadData, match="no picture"):
        photo(content).pixels(8)


def test_a_strip_of_a_few_lines_is_decoded_too() -> None:
    Image.new("RGB", (3000, 3), "red").save(out := io.BytesIO(), "JPEG")
    assert photo(out.getvalue()).pixels(16).size == (1500, 2)


@pytest.mark.skipif(sys.platform != "linux", reason="a file that nobody may read is Linux's")
def test_a_file_that_may_not_be_read_is_told_as_that() -> None:
    said = opened("/proc/sys/vm/drop_caches")
    assert isinstance(said, BadConfig) and "Permission denied" in said.message


def test_a_photo_that_is_cut_short_is_shown_as_far_as_it_goes() -> None:
    content = written()
    cut = photo(content[: len(content) // 2]).pixels(8)
    top = slice(0, 20)
    assert np.abs(seen(cut, 64)[top] - seen(photo(content).pixels(), 64)[top]).max() <= 12


PIL_ALONE: dict[str, tuple[dict[str, Any], float]] = {
    "vit": ({"size": {"height": 224, "width": 224}}, 1536 / 224),
    "convnext": ({"size": {"shortest_edge": 224}}, 1536 / 256),  # of which it takes the middle
    "clip": ({"size": {"shortest_edge": 336}, "crop_size": 336}, 1536 / 336),
    "siglip": ({"size": {"height": 384, "width": 384}}, 4.0),
    "detr": ({"size": {"shortest_edge": 800, "longest_edge": 1333}}, 1536 / 800),
    "rt_detr": ({"size": {"height": 640, "width": 640}}, 2.4),
    "idefics3": ({}, 1),
    "llava_next": ({}, 1),
    "qwen2_vl": ({}, 1),
}


@pytest.mark.parametrize("kind", [*PIL_ALONE])
def test_how_much_smaller_a_processor_makes_a_photo(kind: str) -> None:
    from importlib import import_module

    settings, smaller = PIL_ALONE[kind]
    module = import_module(f"transformers.models.{kind}.image_processing_pil_{kind}")
    (made,) = (
        value for name, value in vars(module).items()
        if name.endswith("ImageProcessorPil") and value.__module__ == module.__name__
    )  # fmt: skip
    assert Shrinking(made(**settings)).of((2048, 1536)) == pytest.approx(smaller, rel=0.01)
    assert Shrinking(made(**{**settings, "do_resize": False})).of((2048, 1536)) == 1
