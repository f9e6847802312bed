"""A tiny job to begin with: squares of three colours, and which colour each has."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

from worker.png import Colour, png
from worker.task import Sample

EACH = 8
"""Images of each colour."""

SIZE = 64
"""Pixels of a side."""

INKS: Mapping[str, Colour] = {"red": (220, 40, 40), "green": (40, 170, 60), "blue": (40, 60, 220)}

MODEL = "HuggingFaceTB/SmolVLM-256M-Instruct"


def sample(given: Mapping[str, Any]) -> Sample:
    """Return a folder of images with a list of what is asked and answered, or told, of each."""
    files: dict[str, str | bytes] = {}
    lines = []
    for number in range(EACH):
        for colour in INKS:
            name = f"{colour}-{number}.png"
            files[f"squares/{name}"] = picture(colour, number)
            lines.append(json.dumps({"file_name": name, **said(colour, given)}))
    files["squares/metadata.jsonl"] = "\n".join([*lines, ""])
    settings = {"data_path": "squares", "model": MODEL, "epochs": 3, "gradient_accumulation": 1}
    return Sample(lines[0], files, settings)


def said(colour: str, given: Mapping[str, Any]) -> dict[str, str]:
    """Return the columns beside the image."""
    if given.get("trainer") == "captioning":
        return {"text": f"a {colour} square"}
    return {"prompt": "What colour is the square?", "text": colour}


def picture(colour: str, number: int) -> bytes:
    """Return an image of a square of a colour, always the same for a number."""
    chance = random.Random(f"{colour} {number}")
    side = chance.randint(SIZE // 4, SIZE // 2)
    left, top = (chance.randint(0, SIZE - side) for _ in "xy")
    ground = chance.randint(190, 255)
    ink = INKS[colour]

    def point(x: int, y: int) -> Colour:
        inside = left <= x < left + side and top <= y < top + side
        return ink if inside else (ground, ground, ground)

    return png(SIZE, SIZE, point)
