"""Images as a model sees them: opened, augmented, resized and normalised, with PIL and numpy alone.

The model's own processor does the arithmetic, so that what is learned from is what `pipeline` will
show later. torchvision is not used: it has to match torch to the letter, or transformers cannot be
imported at all, and nothing here needs it.
"""

from __future__ import annotations

import io
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageFile, ImageOps
from torch.utils.data import Dataset

from worker.errors import BadData
from worker.tasks.image_classification.examples import Example

ImageFile.LOAD_TRUNCATED_IMAGES = True  # a photo that is cut short is shown as far as it goes

AREA = (0.08, 1.0)
"""Share of an image's area that a crop keeps, as GoogLeNet was trained (Szegedy et al. 2015)."""

RATIO = (3 / 4, 4 / 3)
"""Width to height of a crop."""

TRIES = 10
"""Crops drawn before the middle of the image is taken."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image's bytes lie in the store."""

    start: int
    size: int


class Store:
    """The bytes of all images in one file: memory stays small however many there are."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._end = 0
        path.unlink(missing_ok=True)

    def keep(self, content: bytes) -> Place:
        """Write an image's bytes to the end of the file."""
        with self.path.open("ab") as file:
            file.write(content)
        place = Place(self._end, len(content))
        self._end += len(content)
        return place

    def bytes(self, place: Place) -> bytes:
        """Return an image's bytes."""
        with self.path.open("rb") as file:
            file.seek(place.start)
            return file.read(place.size)


class Pictures(Dataset[dict[str, Any]]):
    """Examples as tensors: `pixel_values` (channels, height, width), and `labels`."""

    def __init__(
        self,
        store: Store,
        examples: Sequence[Example[Place]],
        classes: Sequence[str],
        processor: Any,
        *,
        seed: int | None = None,
    ) -> None:
        """With a `seed` each image is shown a little differently in each epoch."""
        self.store = store
        self.examples = examples
        self.numbers = {name: number for number, name in enumerate(classes)}
        self.processor = processor
        self.seed = seed
        self.epoch = 0
        """Which epoch it is, counted from 0; whoever trains says so."""
        self.height, self.width = _sees(processor)

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, i: int) -> dict[str, Any]:
        example = self.examples[i]
        image = self._opened(example)
        if self.seed is None:
            pixels = self._as_asked(image)
        else:
            # made of the three alone, so neither workers nor a resume change what is seen
            chance = random.Random(f"{self.seed} {self.epoch} {i}")
            pixels = self._processed(self._augmented(image, chance), do_resize=False)
        return {"pixel_values": pixels, "labels": self.numbers[example.label]}

    def _opened(self, example: Example[Place]) -> Image.Image:
        try:
            image = Image.open(io.BytesIO(self.store.bytes(example.image)))
            return ImageOps.exif_transpose(image).convert("RGB")  # as `pipeline` opens one
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise BadData(
                f"The image of row {example.row} cannot be read: {error}", fix="Take it out."
            ) from error

    def _augmented(self, image: Image.Image, chance: random.Random) -> Image.Image:
        resample = getattr(self.processor, "resample", None)
        size = (self.width, self.height)
        # with the box in it, one pass over the pixels crops and resizes
        image = image.resize(
            size, Image.Resampling.BILINEAR if resample is None else resample, crop(image, chance)
        )
        return ImageOps.mirror(image) if chance.random() < 0.5 else image  # noqa: PLR2004

    def _as_asked(self, image: Image.Image) -> torch.Tensor:
        """Return an image as `pipeline` shows it; square where the model would see any shape."""
        pixels = self._processed(image)
        if pixels.shape[-2:] != (self.height, self.width):
            pixels = self._processed(image.resize((self.width, self.height)), do_resize=False)
        return pixels

    def _processed(self, image: Image.Image, **how: Any) -> torch.Tensor:
        cropped = {} if how.get("do_resize", True) else {"do_center_crop": False}
        pixels: torch.Tensor = self.processor(image, return_tensors="pt", **how, **cropped)[
            "pixel_values"
        ][0]
        return pixels


def crop(image: Image.Image, chance: random.Random) -> tuple[int, int, int, int]:
    """Return a random part of an image: left, top, right, bottom (RandomResizedCrop)."""
    width, height = image.size
    for _ in range(TRIES):
        area = width * height * chance.uniform(*AREA)
        ratio = math.exp(chance.uniform(math.log(RATIO[0]), math.log(RATIO[1])))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = chance.randint(0, width - w), chance.randint(0, height - h)
            return left, top, left + w, top + h
    w, h = min(width, round(height * RATIO[1])), min(height, round(width / RATIO[0]))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def _sees(processor: Any) -> tuple[int, int]:
    """Return height and width of what a processor makes of a square image."""
    square = Image.new("RGB", (256, 256))
    height, width = processor(square, return_tensors="pt")["pixel_values"].shape[-2:]
    return int(height), int(width)


def collate(rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Return a batch: `pixel_values` (images, channels, height, width), `labels` (images)."""
    return {
        "pixel_values": torch.stack([row["pixel_values"] for row in rows]),
        "labels": torch.tensor([row["labels"] for row in rows]),
    }
