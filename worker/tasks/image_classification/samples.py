"""What `hubtrain init` writes: a folder of tiny pictures for each of two shapes."""

from __future__ import annotations

from worker.families.pictures.samples import SHAPES, picture
from worker.task import Sample

EACH = 8
"""Pictures of each class."""


def sample() -> Sample:
    """Return a folder of pictures for each class, and settings that a laptop trains with."""
    files = {
        f"shapes/{name}/{n}.png": picture(name, n).content for name in SHAPES for n in range(EACH)
    }
    settings = {"data_path": "shapes", "epochs": 3, "batch_size": 4, "valid_split": 0.25}
    return Sample(f"{next(iter(files))} (a folder for each class)", files, settings)
