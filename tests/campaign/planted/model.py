"""The files that a quick training leaves: the same ones for the same number, byte for byte.

Both sides know them: the trainer writes them, the auditor compares with what came of them.
"""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path

SHARDS, VALUES = 2, 9000
"""Files of weights, and numbers in each: large enough for the Hub to keep them apart."""


def files(weights: int) -> dict[str, bytes]:
    """Return the model of a number, by the paths of its files."""
    made = {
        f"model-{n + 1:05}-of-{SHARDS:05}.safetensors": tensors(f"{weights}/{n}")
        for n in range(SHARDS)
    }
    index = {"weight_map": {f"w{n}": name for n, name in enumerate(made)}}
    made["model.safetensors.index.json"] = json.dumps(index).encode()
    made["config.json"] = json.dumps({"model_type": "quick", "weights": weights}).encode()
    return made


def checkpoint_files(weights: int, step: int) -> dict[str, bytes]:
    """Return the checkpoint after so many steps."""
    state = json.dumps({"global_step": step, "weights": weights}).encode()
    return {"model.safetensors": tensors(f"{weights}@{step}"), "trainer_state.json": state}


def tensors(chance: str) -> bytes:
    """Return a file of safetensors that holds one tensor of numbers drawn by `chance`."""
    data = random.Random(chance).randbytes(4 * VALUES)
    about = {"w": {"dtype": "F32", "shape": [VALUES], "data_offsets": [0, len(data)]}}
    header = json.dumps(about).encode()
    return struct.pack("<Q", len(header)) + header + data


def model(weights: int, folder: Path) -> None:
    """Write the model of a number into a folder."""
    _write(files(weights), folder)


def checkpoint(weights: int, step: int, folder: Path) -> None:
    """Write a checkpoint into a folder."""
    _write(checkpoint_files(weights, step), folder)


def _write(made: dict[str, bytes], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in made.items():
        (folder / name).write_bytes(content)
