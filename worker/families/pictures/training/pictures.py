"""Images as a model sees them: opened, augmented, resized and normalised, with PIL and numpy alone.

The model's own processor does the arithmetic, so that what is learned from is what `pipeline` will
show later. torchvision is not used: it has to match torch to the letter, or transformers cannot be
imported at all, and nothing here needs it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import torch
from PIL import Image, ImageOps
from torch.utils.data import Dataset
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from worker.engine import devices
from worker.engine.trainer import epoch_of
from worker.families.pictures.examples import Example
from worker.families.pictures.training.photo import Photo, Size
from worker.families.pictures.training.shrinking import Shrinking
from worker.families.pictures.training.store import Place, Store
from worker.families.pictures.training.tones import Tones

L = TypeVar("L")

MOST_READERS = 8
"""Processes that open images while a GPU computes: each some 400 photos a second, of which a large
GPU learns from thousands."""

AREA = (0.08, 1.0)
"""Share of an image's area that a crop keeps, as GoogLeNet was trained (Szegedy et al. 2015)."""

RATIO = (3 / 4, 4 / 3)
"""Width to height of a crop."""

TRIES = 10
"""Crops drawn before the middle of the image is taken."""


class Pictures(Dataset[dict[str, Any]], Generic[L]):
    """Examples as tensors: `pixel_values` (channels, height, width), and `labels`."""

    def __init__(
        self,
        store: Store,
        examples: Sequence[Example[Place, L]],
        target: Callable[[L], Any],
        processor: Any,
        *,
        seed: int | None = None,
    ) -> None:
        """With a `seed` each image is shown a little differently in each epoch.

        `target` makes a number, or a list of numbers, of what an example says.
        """
        self.store = store
        self.examples = examples
        self.target = target
        self.processor = processor
        self.seed = seed
        self.epoch = 0
        """Which epoch it is, counted from 0; whoever trains says so."""
        self.height, self.width = _sees(processor)
        self.whole = Tones(processor)
        self.sized = Tones(processor, do_resize=False, do_center_crop=False)
        self.shrinking = Shrinking(processor)

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, i: int) -> dict[str, Any]:
        example = self.examples[i]
        photo = self.store.photo(example.image, example.row)
        if self.seed is None:
            pixels = self._as_asked(photo)
        else:
            # made of the three alone, so neither workers nor a resume change what is seen
            chance = random.Random(f"{self.seed} {self.epoch} {i}")
            pixels = self.sized.of(self._augmented(photo, chance))
        return {"pixel_values": pixels, "labels": self.target(example.label)}

    def _augmented(self, photo: Photo, chance: random.Random) -> Image.Image:
        resample = getattr(self.processor, "resample", None)
        part = left, top, right, bottom = crop(photo.size, chance)
        image = photo.pixels(min((right - left) / self.width, (bottom - top) / self.height))
        # with the box in it, one pass over the pixels crops and resizes
        image = image.resize(
            (self.width, self.height),
            Image.Resampling.BILINEAR if resample is None else resample,
            photo.place(part, image),
        )
        return ImageOps.mirror(image) if chance.random() < 0.5 else image  # noqa: PLR2004

    def _as_asked(self, photo: Photo) -> torch.Tensor:
        """Return an image as `pipeline` shows it; square where the model would see any shape."""
        image = photo.pixels(self.shrinking.of(photo.size))
        pixels = self.whole.of(image)
        if pixels.shape[-2:] != (self.height, self.width):
            pixels = self.sized.of(image.resize((self.width, self.height)))
        return pixels


def crop(size: Size, chance: random.Random) -> tuple[int, int, int, int]:
    """Return a random part of an image of a size: left, top, right, bottom (RandomResizedCrop)."""
    width, height = size
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
    """Return a batch: `pixel_values` (images, channels, height, width), and `labels`: (images), or
    (images, classes) where each has several."""
    return {
        "pixel_values": torch.stack([row["pixel_values"] for row in rows]),
        "labels": torch.tensor([row["labels"] for row in rows]),
    }


class Epochs(TrainerCallback):  # type: ignore[misc]
    """Tells the images which epoch begins; accelerate's loaders forget to after a resume."""

    def __init__(self, pictures: Any) -> None:
        """`pictures` has an attribute `epoch`."""
        self.pictures = pictures

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Note the epoch."""
        self.pictures.epoch = epoch_of(state)


def readers() -> int:
    """Return how many processes open images."""
    return devices.readers(MOST_READERS)
