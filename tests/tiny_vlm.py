"""Vision language models of some 50 thousand parameters, and images whose colour they can name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tiny_run import run_of
from tiny_vit import COLOURS, image

from worker.contract import Event
from worker.task import Run
from worker.tasks.vlm import TASK
from worker.tasks.vlm.params import VlmParams

QUESTION = "what colour is it"
WORDS = f"{QUESTION} answer caption en Describe the image a picture of . User Assistant : is this"
BOS, EOS, PAD, UNKNOWN = "<bos>", "<eos>", "<pad>", "<unk>"
END = "<end_of_utterance>"
SIDE = 32
"""Points along an image's edge; patches are of 8."""

CHAT = (
    "{{ bos_token }}{% for message in messages %}{{ message['role'] | capitalize }} :"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<image>' }}{% else %} {{ part['text'] }}{% endif %}"
    "{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant :{% endif %}"
)
QWEN_CHAT = CHAT.replace("'<image>'", "'<|vision_start|><|image_pad|><|vision_end|>'")


def tokenizer(more: Sequence[str] = (), template: str | None = None) -> Any:
    """Return a tokenizer of whole words, as transformers knows it; `more` are special tokens."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = [PAD, EOS, BOS, UNKNOWN, END, *more]
    words = [*special, *dict.fromkeys([*WORDS.split(), *COLOURS])]
    raw = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token=UNKNOWN))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    raw.add_special_tokens(special)
    made = PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token=PAD, eos_token=EOS, bos_token=BOS, unk_token=UNKNOWN
    )
    made.chat_template = template
    return made


def _text(kind: str, vocabulary: int) -> dict[str, Any]:
    return {
        "model_type": kind,
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 256,
        **{"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2},
    }


def _vision(kind: str) -> dict[str, Any]:
    return {
        "model_type": kind,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "image_size": SIDE,
        "patch_size": 8,
    }


def write_idefics(folder: Path, **how: Any) -> Path:
    """Write an Idefics3, which chats and sees images in tiles; return `folder`."""
    import torch
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration, Idefics3Processor
    from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

    rows = [f"<row_{i}_col_{j}>" for i in range(1, 7) for j in range(1, 7)]
    marks = ["<image>", "<fake_token_around_image>", "<global-img>", *rows]
    words = tokenizer(marks, CHAT)
    edge = {"longest_edge": SIDE}
    seen = Idefics3ImageProcessorPil(size=edge, max_image_size=edge)
    Idefics3Processor(seen, words, image_seq_len=4, chat_template=CHAT).save_pretrained(folder)
    torch.manual_seed(0)
    config = Idefics3Config(
        vision_config=_vision("idefics3_vision"),
        text_config=_text("llama", len(words)),
        scale_factor=2,
        image_token_id=words.convert_tokens_to_ids("<image>"),
        pad_token_id=0,
    )
    Idefics3ForConditionalGeneration(config).to(how.get("dtype")).save_pretrained(folder)
    return folder


def write_paligemma(folder: Path, **how: Any) -> Path:
    """Write a PaliGemma, which continues a prefix; return `folder`."""
    import torch
    from transformers import (
        PaliGemmaConfig,
        PaliGemmaForConditionalGeneration,
        PaliGemmaProcessor,
    )
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    words = tokenizer(["<image>"])
    seen = SiglipImageProcessorPil(size={"height": SIDE, "width": SIDE}, image_seq_length=16)
    seen.image_seq_length = 16
    PaliGemmaProcessor(seen, words).save_pretrained(folder)  # which adds places to the words
    torch.manual_seed(0)
    config = PaliGemmaConfig(
        vision_config={**_vision("siglip_vision_model"), "vision_use_head": False},
        text_config=_text("gemma", len(words)),
        projection_dim=32,
        image_token_index=words.convert_tokens_to_ids("<image>"),
        **{"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2},
    )
    PaliGemmaForConditionalGeneration(config).to(how.get("dtype")).save_pretrained(folder)
    return folder


def write_llava(folder: Path) -> Path:
    """Write a LLaVA, which chats; return `folder`."""
    import torch
    from transformers import LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    words = tokenizer(["<image>"], CHAT)
    size = {"height": SIDE, "width": SIDE}
    seen = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=size)
    LlavaProcessor(
        seen,
        words,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT,
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = LlavaConfig(
        vision_config={**_vision("clip_vision_model"), "projection_dim": 32},
        text_config=_text("llama", len(words)),
        image_token_index=words.convert_tokens_to_ids("<image>"),
        image_seq_length=16,
        vision_feature_layer=-1,
        pad_token_id=0,
    )
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    return folder


def write_qwen(folder: Path) -> Path:
    """Write a Qwen2-VL, which sees images of any size; return `folder`.

    Its processor has a part for videos, which cannot be made here: its files are written by hand.
    """
    import torch
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    marks = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    words = tokenizer(marks, QWEN_CHAT)
    words.save_pretrained(folder)
    size = {"shortest_edge": 16 * 16, "longest_edge": 48 * 48}
    Qwen2VLImageProcessorPil(patch_size=8, merge_size=2, size=size).save_pretrained(folder)
    file = folder / "preprocessor_config.json"
    said = json.loads(file.read_text()) | {"processor_class": "Qwen2VLProcessor"}
    file.write_text(json.dumps(said))
    torch.manual_seed(0)
    ids = [words.convert_tokens_to_ids(mark) for mark in marks]
    named = ("vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id")
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    config = Qwen2VLConfig(
        text_config={**_text("qwen2_vl_text", len(words)), "rope_parameters": rope},
        vision_config={
            **{"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 4, "mlp_ratio": 2},
            **{"patch_size": 8, "spatial_merge_size": 2, "temporal_patch_size": 2},
        },
        **dict(zip(named, ids, strict=True)),
    )
    Qwen2VLForConditionalGeneration(config).save_pretrained(folder)
    return folder


def rows(each: int, first: int = 0) -> list[dict[str, Any]]:
    """Return `each` images of every colour with a question and its answer."""
    return [
        {
            "image": {"bytes": image(colour, n), "path": f"{n}.png"},
            "question": QUESTION,
            "answer": colour,
        }
        for n in range(first, first + each)
        for colour in COLOURS
    ]


def write_table(file: Path, each: int, first: int = 0) -> Path:
    """Write such rows as Parquet; return `file`."""
    return _written(file, rows(each, first))


def write_lengths(file: Path, count: int) -> Path:
    """Write `count` rows whose answers have different lengths; return `file`."""
    found = [
        {**row, "answer": f"{row['answer']}{' .' * (i % 4)}"} for i, row in enumerate(rows(count))
    ]
    return _written(file, found[:count])


def _written(file: Path, found: Sequence[dict[str, Any]]) -> Path:
    import pyarrow as pa
    from pyarrow import parquet

    file.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(list(found)), file)
    return file


def job(
    model: Path, data: Path, folder: Path, *, valid: Path | None = None, **settings: Any
) -> tuple[VlmParams, Run, list[Event]]:
    """Return settings, the run they make, and the list its events will be in."""
    small = {"lr": 3e-3, "batch_size": 8, "gradient_accumulation": 1}
    params = TASK.params(model=str(model), data_path=str(data), **{**small, **settings})
    run, events = run_of(TASK, params, model, data, folder, valid=valid)
    run.output.mkdir(parents=True)
    run.work.mkdir(parents=True)
    return params, run, events
