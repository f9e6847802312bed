"""A ViT of some 30 thousand parameters, and images of colours that it learns in seconds."""

from __future__ import annotations

import io
import random
from binascii import crc32
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from tiny_run import run_of

from worker.contract import Event
from worker.task import Run, Task
from worker.tasks.image_classification import TASK as CLASSIFIER

COLOURS = {"blue": (40, 60, 220), "green": (40, 200, 60), "red": (220, 50, 40)}


def write_model(folder: Path, **how: Any) -> Path:
    """Write a model with random weights and a head for ten classes; return `folder`."""
    import torch
    from transformers import ViTConfig, ViTForImageClassification
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = ViTConfig(
        **{
            **sizes,
            "intermediate_size": 64,
            "image_size": 32,
            "patch_size": 8,
            "num_labels": 10,
            **how,
        }
    )
    ViTForImageClassification(config).save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def image(colour: str, number: int, kind: str = "PNG") -> bytes:
    """Return a noisy image of a colour, always the same for a number."""
    chance = random.Random(f"{colour} {number}")
    size = (36 + number % 9, 48 - number % 7)
    shades = [tuple(c + chance.randint(-30, 30) for c in COLOURS[colour]) for _ in range(12)]
    made = Image.new("RGB", (4, 3))
    made.putdata(shades)
    out = io.BytesIO()
    made.resize(size, Image.Resampling.BICUBIC).save(out, kind)
    return out.getvalue()


def _huge() -> bytes:
    small = image("red", 1)
    header = b"IHDR" + (30_000).to_bytes(4) * 2 + small[24:29]
    return small[:12] + header + crc32(header).to_bytes(4) + small[33:]


HUGE = _huge()
"""A small PNG that says that it has 30,000 x 30,000 pixels."""


def write_folders(folder: Path, each: int, first: int = 0) -> Path:
    """Write `each` images of every colour into a folder of its name; return `folder`."""
    for colour in COLOURS:
        (folder / colour).mkdir(parents=True, exist_ok=True)
        for number in range(first, first + each):
            (folder / colour / f"{number}.png").write_bytes(image(colour, number))
    return folder


def write_table(file: Path, each: int, first: int = 0) -> Path:
    """Write the same images as Parquet, with the names of the classes in its schema."""
    import json

    import pyarrow as pa
    from pyarrow import parquet

    rows = [
        {"image": {"bytes": image(colour, n), "path": f"{n}.png"}, "label": number}
        for n in range(first, first + each)
        for number, colour in enumerate(COLOURS)
    ]
    features = {
        "image": {"_type": "Image"},
        "label": {"_type": "ClassLabel", "names": list(COLOURS)},
    }
    table = pa.Table.from_pylist(rows)
    said = json.dumps({"info": {"features": features}})
    file.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table.replace_schema_metadata({"huggingface": said}), file)
    return file


def write_rows(file: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write rows as Parquet, images in them as datasets has them; return `file`."""
    import pyarrow as pa
    from pyarrow import parquet

    file.parent.mkdir(parents=True, exist_ok=True)
    stored = [{k: _stored(v) for k, v in row.items()} for row in rows]
    parquet.write_table(pa.Table.from_pylist(stored), file)
    return file


def _stored(cell: Any) -> Any:
    return {"bytes": cell, "path": None} if isinstance(cell, bytes) else cell


def job(
    model: Path,
    data: Path,
    folder: Path,
    *,
    valid: Path | None = None,
    task: Task[Any] = CLASSIFIER,
    **settings: Any,
) -> tuple[Any, Run, list[Event]]:
    """Return settings, the run they make, and the list its events will be in."""
    params = task.params(model=str(model), data_path=str(data), **{"lr": 3e-3, **settings})
    run, events = run_of(task, params, model, data, folder, valid=valid)
    run.output.mkdir(parents=True)
    run.work.mkdir(parents=True)
    return params, run, events
