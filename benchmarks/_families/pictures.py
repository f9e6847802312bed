"""Pictures: classes of them, what is where on them, and answers to questions about them."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._families import Asked, Family, Shape, Size
from benchmarks._families.texts import NOT_JUDGED

DIFFERENT = 128
"""Pictures of a data set that differ; they come again and again."""

CLASSES = ("cat", "dog", "fox", "owl")
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
QUESTION = "what is it"
CHAT = (
    "{{ bos_token }}{% for message in messages %}{{ message['role'] | capitalize }} :"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<image>' }}{% else %} {{ part['text'] }}{% endif %}"
    "{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant :{% endif %}"
)
WORDS = ("<pad>", "<eos>", "<bos>", "<unk>", "<end_of_utterance>", "<image>")


def jpeg(number: int, size: tuple[int, int]) -> bytes:
    """Return a picture of clouds of colours, always the same for a number."""
    from PIL import Image

    chance = np.random.default_rng(number)
    small = chance.integers(0, 255, (24, 32, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).save(out, "JPEG", quality=90)
    return out.getvalue()


def data(
    size: tuple[int, int], more: Callable[[random.Random], Mapping[str, Any]]
) -> Callable[[Path, int], Path]:
    """Return what writes a table of pictures of a size, each with what else a row has."""

    def write(folder: Path, count: int) -> Path:
        import pyarrow as pa
        from pyarrow import parquet

        chance = random.Random(0)
        pictures = [jpeg(number, size) for number in range(DIFFERENT)]
        rows = [
            {"image": {"bytes": pictures[i % DIFFERENT], "path": f"{i}.jpg"}, **more(chance)}
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
        image = image.resize((side, side), Image.Resampling.BILINEAR, crop(image, chance))
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

    from worker.tasks.object_detection.training.pictures import augmented, shares

    model = AutoModelForObjectDetection.from_pretrained(asked.model)
    for name, weights in model.named_parameters():  # as DETR was trained
        if ".backbone." in name:
            weights.requires_grad_(any(f".stages.{stage}." in name for stage in (1, 2, 3)))
    side, chance = asked.shape["side"], random.Random(0)

    def made(row: Any) -> Any:
        image, corners = opened(row), np.array(row["objects"]["bbox"], np.float64)
        corners[:, 2:] += corners[:, :2]
        numbers = np.array([CLASSES.index(name) for name in row["objects"]["category"]])
        image, corners, numbers = augmented(image, corners, numbers, chance)
        labels = {
            "class_labels": torch.from_numpy(numbers),
            "boxes": torch.from_numpy(shares(corners, *image.size)),
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


def write_smolvlm(folder: Path, shape: Shape) -> None:
    """Write an Idefics3, as SmolVLM is one, and a processor that takes a picture whole."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        Idefics3Config,
        Idefics3ForConditionalGeneration,
        Idefics3Processor,
        PreTrainedTokenizerFast,
    )
    from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

    marks = [f"<row_{i}_col_{j}>" for i in range(1, 7) for j in range(1, 7)]
    special = [*WORDS, "<fake_token_around_image>", "<global-img>", *marks]
    said = [*QUESTION.split(), *CLASSES, "a", "picture", "of", ".", "User", "Assistant", ":"]
    known = {word: i for i, word in enumerate(dict.fromkeys([*special, *said]))}
    raw = Tokenizer(models.WordLevel(known, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    raw.add_special_tokens(special)
    names = {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>", "unk_token": "<unk>"}
    words = PreTrainedTokenizerFast(tokenizer_object=raw, **names)
    side = {"longest_edge": shape["vision"]["image_size"]}
    seen = Idefics3ImageProcessorPil(size=side, max_image_size=side)
    patches = (side["longest_edge"] // shape["vision"]["patch_size"] // shape["scale_factor"]) ** 2
    processor = Idefics3Processor(seen, words, image_seq_len=patches, chat_template=CHAT)
    processor.save_pretrained(folder)
    ends = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
    config = Idefics3Config(
        vision_config={"model_type": "idefics3_vision", **shape["vision"]},
        text_config={"model_type": "llama", **shape["text"], **ends},
        scale_factor=shape["scale_factor"],
        image_token_id=known["<image>"],
        pad_token_id=0,
    )
    Idefics3ForConditionalGeneration(config).to(torch.bfloat16).save_pretrained(folder)


def answerer(asked: Asked) -> Any:
    """Return what learns answers to questions about pictures, by an adapter of its decoder.

    AutoTrain computed activations anew on the way back.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processor = AutoProcessor.from_pretrained(asked.model)
    dtype = torch.bfloat16 if asked.arguments["bf16"] else torch.float32
    model = AutoModelForImageTextToText.from_pretrained(asked.model, dtype=dtype)
    adapter = LoraConfig(
        r=16, lora_alpha=32, lora_dropout=0.05,
        target_modules=r".*text_model.*\.(q|k|v|o|gate|up|down)_proj",
    )  # fmt: skip
    aside = [processor.tokenizer.pad_token_id, model.config.image_token_id]

    def texts(row: Any) -> str:
        asks = [{"type": "image"}, {"type": "text", "text": row["question"]}]
        says = [{"type": "text", "text": row["answer"]}]
        turns = [{"role": "user", "content": asks}, {"role": "assistant", "content": says}]
        return str(processor.apply_chat_template(turns))

    def made(row: Any) -> Any:
        return opened(row), texts(row)

    def collate(rows: Any) -> Any:
        images = [[image] for image, _ in rows]
        batch = processor(
            images=images, text=[text for _, text in rows], padding=True, return_tensors="pt"
        )
        batch["labels"] = batch["input_ids"].clone()
        batch["labels"][torch.isin(batch["input_ids"], torch.tensor(aside))] = NOT_JUDGED
        return batch

    more = {"gradient_checkpointing": True} if asked.as_autotrain else {}
    return trainer(asked, get_peft_model(model, adapter), made, collate, **more)


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


def asked_about(chance: random.Random) -> dict[str, Any]:
    """Return a question and an answer of some words."""
    said = ["a picture of a", chance.choice(CLASSES), *["."] * chance.randrange(12)]
    return {"question": QUESTION, "answer": " ".join(said)}


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
SMALL_VLM = {
    "vision": {
        "hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 4,
        "num_attention_heads": 4, "image_size": 128, "patch_size": 16,
    },
    "text": {
        "vocab_size": 8192, "hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 6,
        "num_attention_heads": 4, "num_key_value_heads": 2,
    },
    "scale_factor": 2,
}  # fmt: skip
SMOLVLM = {
    "vision": {
        "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
        "num_attention_heads": 12, "image_size": 512, "patch_size": 16,
    },
    "text": {
        "vocab_size": 49280, "hidden_size": 576, "intermediate_size": 1536,
        "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
    },
    "scale_factor": 4,
}  # fmt: skip
"""SmolVLM-256M, which is shown pictures of 512 points whole here."""

PICTURES = [
    Family(
        "image_classification", write_vit, data((500, 375), labelled), classifier,
        Size(SMALL_VIT, 320, 8), Size({}, 4480, 64),
    ),
    Family(
        "object_detection", write_detr, data((640, 480), boxed), detector,
        Size({"resnet": SMALL_RESNET, "detr": SMALL_DETR, "side": 200}, 120, 4),
        Size({"resnet": {}, "detr": {}, "side": 600}, 480, 8),
    ),
    Family(
        "vlm", write_smolvlm, data((640, 480), asked_about), answerer,
        Size(SMALL_VLM, 160, 8), Size(SMOLVLM, 800, 16),
        {"peft": True, "quantization": None, "gradient_accumulation": 1},
    ),
]  # fmt: skip
