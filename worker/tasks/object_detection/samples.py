"""What `hubtrain init` writes: tiny pictures of two shapes, and where the shapes are."""

from __future__ import annotations

import json

from worker.families.pictures.samples import SHAPES, picture
from worker.task import Sample

EACH = 8
"""Pictures of each shape."""


def sample() -> Sample:
    """Return a folder of pictures with a list, and settings that a laptop trains with."""
    rows, files = [], dict[str, str | bytes]()
    for name in SHAPES:
        for number in range(EACH):
            drawn, file = picture(name, number), f"{name}-{number}.png"
            side = 2 * drawn.radius
            box = [drawn.x - drawn.radius, drawn.y - drawn.radius, side, side]
            objects = {"bbox": [box], "category": [name]}
            rows.append(json.dumps({"file_name": file, "objects": objects}))
            files[f"shapes/{file}"] = drawn.content
    files["shapes/metadata.jsonl"] = "\n".join([*rows, ""])
    settings = {"data_path": "shapes", "epochs": 3, "batch_size": 4, "valid_split": 0.25}
    settings["image_square_size"] = 96
    return Sample(f"{rows[0]} (metadata.jsonl, beside the images)", files, settings)
