"""Images with boxes as a detector sees them: augmented, resized, the boxes as shares of the image.

The model's own processor makes the tensors, so that what is learned from is what `pipeline` will
show later.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch.utils.data import Dataset

from worker.families.pictures.examples import Example
from worker.families.pictures.training.photo import Photo, Size
from worker.families.pictures.training.shrinking import Shrinking
from worker.families.pictures.training.store import Place, Store
from worker.families.pictures.training.tones import Tones
from worker.families.training.measures import Numbers
from worker.tasks.object_detection.examples import Objects

CROPPED, MIRRORED, COLOURED = 0.3, 0.5, 0.5
"""How often an image is cropped, mirrored, shown in other colours."""

LEAST_AREA = 25.0
"""Square pixels below which what is left of a box is none, as AutoTrain had it."""

LEAST_PART = 0.3
"""Part of a box that has to be left in a crop, else it is none."""

BRIGHTER = (0.7, 1.3)


@dataclass(frozen=True, slots=True)
class Truth:
    """What is on an image, to judge what a model finds."""

    size: tuple[int, int]
    """Height and width, in pixels."""

    boxes: Numbers
    """(objects, 4): left, top, right, bottom in pixels."""

    classes: Numbers
    """(objects)."""


class Scenes(Dataset[dict[str, Any]]):
    """Examples as tensors: `pixel_values` (channels, height, width), `labels`, and the `truth`.

    `labels` are `class_labels` (objects) and `boxes` (objects, 4): the middle, width and height as
    shares of the image.
    """

    def __init__(
        self,
        store: Store,
        examples: Sequence[Example[Place, Objects]],
        classes: Sequence[str],
        processor: Any,
        *,
        seed: int | None = None,
    ) -> None:
        """With a `seed` each image is shown a little differently in each epoch."""
        self.store = store
        self.examples = examples
        self.numbers = {name: number for number, name in enumerate(classes)}
        self.tones = Tones(processor, do_pad=False)
        self.shrinking = Shrinking(processor, do_pad=False)
        self.seed = seed
        self.epoch = 0
        """Which epoch it is, counted from 0; whoever trains says so."""

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, i: int) -> dict[str, Any]:
        example = self.examples[i]
        photo = self.store.photo(example.image, example.row)
        boxes, classes = self._on(photo.size, example.label)
        if self.seed is None:
            size, image = photo.size, photo.pixels(self.shrinking.of(photo.size))
        else:
            # made of the three alone, so neither workers nor a resume change what is seen
            chance = random.Random(f"{self.seed} {self.epoch} {i}")
            some = augmented(photo, boxes, classes, chance, self.shrinking.of)
            image, size, boxes, classes = some
        width, height = size
        return {
            "pixel_values": self.tones.of(image),
            "labels": {
                "class_labels": torch.from_numpy(classes),
                "boxes": torch.from_numpy(shares(boxes, width, height)),
            },
            "truth": Truth((height, width), boxes, classes),
        }

    def _on(self, size: Size, objects: Objects) -> tuple[Numbers, Numbers]:
        """Return boxes (objects, 4), as corners, and classes of what is on an image of a size."""
        parts = ((self.numbers[one.name], one.box.within(size)) for one in objects)
        kept = [(number, box) for number, box in parts if not box.empty]
        corners = [(box.x, box.y, box.x + box.width, box.y + box.height) for _, box in kept]
        numbers = np.array([number for number, _ in kept], dtype=np.int64)
        return np.array(corners, dtype=np.float64).reshape(-1, 4), numbers


def shares(boxes: Numbers, width: int, height: int) -> Numbers:
    """Return corners in pixels as middle, width and height, in shares of an image."""
    low, high = boxes[:, :2], boxes[:, 2:]
    size = np.array([width, height], dtype=np.float64)
    found: Numbers = np.concatenate([(low + high) / 2 / size, (high - low) / size], 1)
    return found.astype(np.float32)


def augmented(
    photo: Photo,
    boxes: Numbers,
    classes: Numbers,
    chance: random.Random,
    shrinking: Callable[[Size], float],
) -> tuple[Image.Image, Size, Numbers, Numbers]:
    """Return a photo a little different, its size, and what is still on it.

    `boxes` are corners in pixels of the size, which is that of the part that is shown. The image
    has fewer where those will do: `shrinking` says how many times smaller the model sees it.
    """
    part = (0, 0, *photo.size)
    if chance.random() < CROPPED:
        part = crop(photo.size, boxes, chance)
        boxes, classes = within(boxes, classes, part)
    size = part[2] - part[0], part[3] - part[1]
    image = photo.pixels(shrinking(size))
    left, top, right, bottom = map(round, photo.place(part, image))
    image = image.crop((left, top, right, bottom))
    if chance.random() < MIRRORED:
        image, boxes = ImageOps.mirror(image), mirrored(boxes, size[0])
    if chance.random() < COLOURED:
        for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            image = change(image).enhance(chance.uniform(*BRIGHTER))
    return image, size, boxes, classes


def crop(size: Size, boxes: Numbers, chance: random.Random) -> tuple[int, int, int, int]:
    """Return a part of an image of a size: left, top, right, bottom.

    One of the boxes is whole in it, and half of each side at least is left.
    """
    width, height = size
    kept = (0.0, 0.0, 0.0, 0.0)
    if len(boxes):
        kept = boxes[chance.randrange(len(boxes))]
    left, right = _side(width, kept[0], kept[2], chance)
    top, bottom = _side(height, kept[1], kept[3], chance)
    return left, top, right, bottom


def _side(length: int, low: float, high: float, chance: random.Random) -> tuple[int, int]:
    """Return where a part of a side begins and ends that has `low` to `high` in it."""
    size = max(round(length * chance.uniform(0.5, 1)), int(np.ceil(high)) - int(low), 1)
    first = max(0, int(np.ceil(high)) - size)
    start = chance.randint(first, max(first, min(int(low) if high else length, length - size)))
    return start, min(length, start + size)


def within(
    boxes: Numbers, classes: Numbers, part: tuple[int, int, int, int]
) -> tuple[Numbers, Numbers]:
    """Return what of boxes is in a part of the image, seen from its corner, and their classes."""
    left, top, right, bottom = part
    cut = np.clip(boxes, (left, top, left, top), (right, bottom, right, bottom))
    before, after = (np.prod(b[:, 2:] - b[:, :2], axis=1) for b in (boxes, cut))
    seen = (after >= LEAST_PART * before) & (after >= np.minimum(LEAST_AREA, before))
    return cut[seen] - (left, top, left, top), classes[seen]


def mirrored(boxes: Numbers, width: int) -> Numbers:
    """Return boxes on the mirrored image."""
    left, top, right, bottom = boxes.T
    return np.stack([width - right, top, width - left, bottom], axis=1)


def collate(rows: Sequence[dict[str, Any]], *, masked: bool) -> dict[str, Any]:
    """Return a batch: `pixel_values` (images, channels, height, width), `labels`, `truth`.

    Images are filled up at the right and the bottom to the size of the largest; a model that is
    told where (`masked`) has it in `pixel_mask` (images, height, width).
    """
    pixels = [row["pixel_values"] for row in rows]
    height, width = (max(p.shape[side] for p in pixels) for side in (1, 2))
    shown = torch.zeros(len(rows), pixels[0].shape[0], height, width)
    mask = torch.zeros(len(rows), height, width, dtype=torch.long)
    for i, one in enumerate(pixels):
        shown[i, :, : one.shape[1], : one.shape[2]] = one
        mask[i, : one.shape[1], : one.shape[2]] = 1
    batch: dict[str, Any] = {"pixel_values": shown, "labels": [row["labels"] for row in rows]}
    batch["truth"] = [row["truth"] for row in rows]
    return batch | ({"pixel_mask": mask} if masked else {})
