"""What `hubtrain init` writes: tiny pictures of discs, and how large each disc is."""

from __future__ import annotations

import json

from worker.families.pictures.samples import picture
from worker.task import Sample

PICTURES = 16


def sample() -> Sample:
    """Return a folder of pictures with a list, and settings that a laptop trains with."""
    drawn = {f"{number}.png": picture("disc", number) for number in range(PICTURES)}
    rows = [json.dumps({"file_name": n, "target": each.radius}) for n, each in drawn.items()]
    files: dict[str, str | bytes] = {f"discs/{n}": each.content for n, each in drawn.items()}
    files["discs/metadata.jsonl"] = "\n".join([*rows, ""])
    settings = {"data_path": "discs", "epochs": 3, "batch_size": 4, "valid_split": 0.25}
    return Sample(f"{rows[0]} (metadata.jsonl, beside the images)", files, settings)
