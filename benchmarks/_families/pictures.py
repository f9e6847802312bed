"""Pictures: classes of them, and what is where on them."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._families import Asked, Family, Shape, Size

DIFFERENT = 128
"""Pictures of a data set that differ; they come again and again."""

PHOTOS = 16
"""Photos that differ."""

PHOTO = (4000, 3000)
"""Points of a photo of a phone: 12 million."""

CLASSES = ("cat", "dog", "fox", "owl")
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def jpeg(number: int, size: tuple[int, int]) -> bytes:
    """Return a picture of clouds of colours, always the same for a number."""
    from PIL import Image

    chance = np.random.default_rng(number)
    small = chance.integers(0, 255, (24, 32, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).save(out, "JPEG", quality=90)
    return out.getvalue()


def photograph(number: int, size: tuple[int, int]) -> bytes:
    """Return clouds with finer and finer clouds in them and grain: 2.5 MB for 12 million points."""
    from PIL import Image

    chance = np.random.default_rng(number)
    shades = chance.normal(127, 3, (size[1], size[0], 3)).astype(np.float32)
    for across, strength in ((24, 0.7), (96, 0.3), (400, 0.16), (1500, 0.08)):
        small = chance.integers(0, 255, (across * 3 // 4, across, 3), dtype=np.uint8)
        clouds = Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)
        shades += strength * (np.asarray(clouds, np.float32) - 127)
    out = io.BytesIO()
    Image.fromarray(shades.clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=90)
    return out.getvalue()


def data(
    size: tuple[int, int],
    more: Callable[[random.Random], Mapping[str, Any]],
    picture: Callable[[int, tuple[int, int]], bytes] = jpeg,
    different: int = DIFFERENT,
) -> Callable[[Path, int], Path]:
    """Return what writes a table of pictures of a size, each with what else a row has."""

    def write(folder: Path, count: int) -> Path:
        import pyarrow as pa
        from pyarrow import parquet

        chance = random.Random(0)
        pictures = [picture(number, size) for number in range(min(different, count))]
        rows = [
            {"image": {"bytes": pictures[i % len(pictures)], "path": f"{i}.jpg"}, **more(chance)}
            for i in range(count)
        ]
        parquet.write_table(pa.Table.from_pylist(rows), folder / "rows.parquet")
        return folder / "rows.parquet"

    return write


def read(file: Path) -> list[dict[str, Any]]:
    """Return the rows of a table."""
    from pyarrow import parquet

    found: list[dict[str, Any]] = parquet.read_table(file).to_pylist()
    return found


def opened(row: Mapping[str, Any]) -> Any:
    """Return the picture of a row."""
    from PIL import Image

    return Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB")


def normalised(image: Any, mean: Sequence[float], deviation: Sequence[float]) -> Any:
    """Return a picture as a tensor (channels, height, width)."""
    import torch

    middle, wide = (255 * np.asarray(values, np.float32) for values in (mean, deviation))
    scaled = (np.asarray(image, np.float32) - middle) / wide
    return torch.from_numpy(np.ascontiguousarray(scaled.transpose(2, 0, 1)))


class Rows(Sequence[Any]):
    """Rows that are made when they are asked for, in whatever process asks."""

    def __init__(self, rows: Sequence[Any], made: Callable[[Any], Any]) -> None:
        self.rows, self.made = rows, made

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: Any) -> Any:
        return self.made(self.rows[i])


def trainer(asked: Asked, model: Any, made: Callable[[Any], Any], collate: Any, **more: Any) -> Any:
    """Return transformers' Trainer; AutoTrain's opened pictures in the process that trains."""
    from transformers import Trainer, TrainingArguments

    workers = 0 if asked.as_autotrain else asked.workers
    own = {"dataloader_num_workers": workers, "remove_unused_columns": False, **more}
    args = TrainingArguments(**{**asked.arguments, **own})
    return Trainer(model, args, collate, Rows(read(asked.data), made))


def write_vit(folder: Path, shape: Shape) -> None:
    """Write a ViT and its processor."""
    from transformers import ViTConfig, ViTForImageClassification
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    config = ViTConfig(**shape)
    ViTForImageClassification(config).save_pretrained(folder)
    side = {"height": config.image_size, "width": config.image_size}
    ViTImageProcessorPil(size=side).save_pretrained(folder)


def classifier(asked: Asked) -> Any:
    """Return what learns classes of pictures, each cropped and mirrored as ours are."""
    import torch
    from PIL import Image, ImageOps
    from transformers import AutoModelForImageClassification

    from worker.families.pictures.training.pictures import crop

    model = AutoModelForImageClassification.from_pretrained(
        asked.model, num_labels=len(CLASSES), ignore_mismatched_sizes=True
    )
    side, chance = model.config.image_size, random.Random(0)

    def made(row: Any) -> Any:
        image = opened(row)
        image = image.resize((side, side), Image.Resampling.BILINEAR, crop(image.size, chance))
        image = ImageOps.mirror(image) if chance.random() < 0.5 else image
        return normalised(image, [0.5] * 3, [0.5] * 3), CLASSES.index(row["label"])

    def collate(rows: Any) -> Any:
        return {
            "pixel_values": torch.stack([pixels for pixels, _ in rows]),
            "labels": torch.tensor([label for _, label in rows]),
        }

    return trainer(asked, model, made, collate)


def write_detr(folder: Path, shape: Shape) -> None:
    """Write a DETR that looks through a ResNet, and its processor."""
    from transformers import DetrConfig, DetrForObjectDetection, ResNetConfig
    from transformers.models.detr.image_processing_pil_detr import DetrImageProcessorPil

    within, around = shape["resnet"], shape["detr"]
    eyes = ResNetConfig(**within, out_features=["stage4"])
    config = DetrConfig(backbone_config=eyes, num_labels=len(CLASSES), **around)
    DetrForObjectDetection(config).save_pretrained(folder)
    DetrImageProcessorPil().save_pretrained(folder)


def detector(asked: Asked) -> Any:
    """Return what learns what is where, pictures augmented as ours are.

    AutoTrain filled each picture up to a square.
    """
    import torch
    from PIL import Image
    from transformers import AutoModelForObjectDetection

    from worker.errors import BadData
    from worker.families.pictures.training.photo import Photo
    from worker.tasks.object_detection.training.pictures import augmented, shares

    model = AutoModelForObjectDetection.from_pretrained(asked.model)
    for name, weights in model.named_parameters():  # as DETR was trained
        if ".backbone." in name:
            weights.requires_grad_(any(f".stages.{stage}." in name for stage in (1, 2, 3)))
    side, chance = asked.shape["side"], random.Random(0)

    def unreadable(error: Exception) -> BadData:
        return BadData(str(error))

    def made(row: Any) -> Any:
        corners = np.array(row["objects"]["bbox"], np.float64)
        corners[:, 2:] += corners[:, :2]
        numbers = np.array([CLASSES.index(name) for name in row["objects"]["category"]])
        photo = Photo(io.BytesIO(row["image"]["bytes"]), unreadable)
        image, size, corners, numbers = augmented(photo, corners, numbers, chance, lambda _: 1)
        labels = {
            "class_labels": torch.from_numpy(numbers),
            "boxes": torch.from_numpy(shares(corners, *size)),
        }
        scale = side / max(image.size)
        width, height = (round(length * scale) for length in image.size)
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        return normalised(image, MEAN, DEVIATION), labels

    def collate(rows: Any) -> Any:
        shapes = [pixels.shape[1:] for pixels, _ in rows]
        height, width = (side, side) if asked.as_autotrain else map(max, zip(*shapes, strict=True))
        shown = torch.zeros(len(rows), 3, height, width)
        mask = torch.zeros(len(rows), height, width, dtype=torch.long)
        for i, (pixels, _) in enumerate(rows):
            shown[i, :, : pixels.shape[1], : pixels.shape[2]] = pixels
            mask[i, : pixels.shape[1], : pixels.shape[2]] = 1
        labels = [label for _, label in rows]
        return {"pixel_values": shown, "pixel_mask": mask, "labels": labels}

    return trainer(asked, model, made, collate)


def labelled(chance: random.Random) -> dict[str, Any]:
    """Return a class."""
    return {"label": chance.choice(CLASSES)}


def boxed(chance: random.Random) -> dict[str, Any]:
    """Return three boxes on a picture of 640 x 480, and what is in them."""
    boxes = [
        [chance.uniform(0, 400), chance.uniform(0, 300), *(chance.uniform(40, 170) for _ in "wh")]
        for _ in range(3)
    ]
    return {"objects": {"bbox": boxes, "category": chance.choices(CLASSES, k=3)}}


SMALL_VIT = {
    "hidden_size": 192, "intermediate_size": 768, "num_hidden_layers": 6,
    "num_attention_heads": 3, "image_size": 112,
}  # fmt: skip
SMALL_RESNET = {
    "depths": [1, 1, 1, 1], "hidden_sizes": [32, 64, 96, 128], "embedding_size": 32,
    "layer_type": "basic",
}  # fmt: skip
SMALL_DETR = {
    "d_model": 128, "encoder_layers": 2, "decoder_layers": 2, "num_queries": 30,
    "encoder_ffn_dim": 512, "decoder_ffn_dim": 512,
    "encoder_attention_heads": 4, "decoder_attention_heads": 4,
}  # fmt: skip
PICTURES = [
    Family(
        "image_classification", write_vit, data((500, 375), labelled), classifier,
        Size(SMALL_VIT, 320, 8), Size({}, 4480, 64),
    ),
    Family(
        "image_classification", write_vit, data(PHOTO, labelled, photograph, PHOTOS), classifier,
        Size(SMALL_VIT, 120, 4), Size({}, 1280, 64), variant="photos",
    ),
    Family(
        "object_detection", write_detr, data((640, 480), boxed), detector,
        Size({"resnet": SMALL_RESNET, "detr": SMALL_DETR, "side": 200}, 120, 4),
        Size({"resnet": {}, "detr": {}, "side": 600}, 480, 8),
    ),
]  # fmt: skip
