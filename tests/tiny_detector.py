"""Tiny detectors, a DETR and an RT-DETR, and squares on noise that they learn to find."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image
from tiny_run import run_of

from worker.contract import Event
from worker.task import Run
from worker.tasks.object_detection import TASK

COLOURS = {"blue": (30, 40, 230), "red": (230, 40, 30)}
SIDE = 64
"""Pixels of an image's longer side; the other has 3/4 of them."""


def write_detr(folder: Path, **how: Any) -> Path:
    """Write a DETR with random weights and a head for five classes; return `folder`."""
    import torch
    from transformers import DetrConfig, DetrForObjectDetection, ResNetConfig
    from transformers.models.detr.image_processing_pil_detr import DetrImageProcessorPil

    torch.manual_seed(0)
    eyes = ResNetConfig(
        depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 24, 32], embedding_size=8,
        layer_type="basic", out_features=["stage4"],
    )  # fmt: skip
    sizes = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "num_queries": 8}
    sizes |= {"encoder_ffn_dim": 64, "decoder_ffn_dim": 64}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    config = DetrConfig(**{"backbone_config": eyes, **sizes, **heads, "num_labels": 5, **how})
    DetrForObjectDetection(config).save_pretrained(folder)
    DetrImageProcessorPil().save_pretrained(folder)
    return folder


def write_rt_detr(folder: Path) -> Path:
    """Write an RT-DETR with random weights, which learns faster than a DETR; return `folder`."""
    import torch
    from transformers import RTDetrConfig, RTDetrForObjectDetection, RTDetrResNetConfig
    from transformers.models.rt_detr.image_processing_pil_rt_detr import RTDetrImageProcessorPil

    torch.manual_seed(0)
    eyes = RTDetrResNetConfig(
        embedding_size=16, hidden_sizes=[16, 24, 32, 32], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = RTDetrConfig(
        backbone_config=eyes, encoder_hidden_dim=32, encoder_in_channels=[24, 32, 32], d_model=32,
        encoder_ffn_dim=64, decoder_ffn_dim=64, encoder_attention_heads=2,
        decoder_attention_heads=2, decoder_layers=2, decoder_in_channels=[32, 32, 32],
        num_queries=10, num_denoising=10, num_labels=5, decoder_n_points=2, hidden_expansion=0.5,
        freeze_backbone_batch_norms=False,
    )  # fmt: skip
    RTDetrForObjectDetection(config).save_pretrained(folder)
    RTDetrImageProcessorPil().save_pretrained(folder)
    return folder


def scene(number: int) -> tuple[bytes, dict[str, Any]]:
    """Return noise with a square on it, and where that is; the same for a number."""
    chance = random.Random(number)
    width, height = (SIDE, SIDE * 3 // 4) if number % 2 else (SIDE * 3 // 4, SIDE)
    made = Image.new("RGB", (16, 16))
    made.putdata([(chance.randint(90, 160),) * 3 for _ in range(256)])
    made = made.resize((width, height))
    side = chance.randint(18, 28)
    x, y = chance.randint(0, width - side), chance.randint(0, height - side)
    name = chance.choice(sorted(COLOURS))
    made.paste(COLOURS[name], (x, y, x + side, y + side))
    objects = {"bbox": [[x, y, side, side]], "category": [name]}
    out = io.BytesIO()
    made.save(out, "PNG")
    return out.getvalue(), objects


def turned(width: int, height: int, shown: bytes | None = None) -> bytes:
    """Return a photo as a camera stores it that was held upright: its EXIF turns it.

    It is shown with this width and height, and as the image `shown`.
    """
    exif, out = Image.Exif(), io.BytesIO()
    exif[ExifTags.Base.Orientation] = 6
    made = Image.open(io.BytesIO(shown)) if shown else Image.new("RGB", (width, height))
    stored = made.resize((width, height)).transpose(Image.Transpose.ROTATE_90)
    stored.save(out, "JPEG", quality=95, exif=exif)
    return out.getvalue()


def rows(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Return rows of an image and its objects, by the names of their classes."""
    made = (scene(number) for number in range(first, first + count))
    return [{"image": content, "objects": objects} for content, objects in made]


def write_folder(folder: Path, count: int, first: int = 0) -> Path:
    """Write images and the list of them, as AutoTrain's users have them; return `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = []
    for number, row in enumerate(rows(count, first)):
        (folder / f"{number}.png").write_bytes(row["image"])
        listed.append(json.dumps({"file_name": f"{number}.png", "objects": row["objects"]}))
    (folder / "metadata.jsonl").write_text("\n".join([*listed, ""]))
    return folder


def write_table(file: Path, count: int, first: int = 0) -> Path:
    """Write them as Parquet with the names of classes in its schema, as cppe-5 is; return it."""
    import pyarrow as pa
    from pyarrow import parquet

    names = list(COLOURS)
    stored = [
        {
            "image": {"bytes": row["image"], "path": None},
            "objects": {
                "bbox": row["objects"]["bbox"],
                "category": [names.index(name) for name in row["objects"]["category"]],
            },
        }
        for row in rows(count, first)
    ]
    objects: Mapping[str, Any] = {
        "bbox": {"_type": "List", "feature": {"_type": "Value", "dtype": "float32"}},
        "category": {"_type": "List", "feature": {"_type": "ClassLabel", "names": names}},
    }
    said = json.dumps({"info": {"features": {"image": {"_type": "Image"}, "objects": objects}}})
    table = pa.Table.from_pylist(stored).replace_schema_metadata({"huggingface": said})
    file.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, file)
    return file


def job(model: Path, data: Path, folder: Path, **settings: Any) -> tuple[Any, Run, list[Event]]:
    """Return settings, the run they make, and the list its events will be in."""
    usual = {"lr": 2e-3, "image_square_size": SIDE, **settings}
    params = TASK.params(model=str(model), data_path=str(data), **usual)
    run, events = run_of(TASK, params, model, data, folder)
    run.output.mkdir(parents=True)
    run.work.mkdir(parents=True)
    return params, run, events
