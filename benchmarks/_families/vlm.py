"""Pictures with words: answers to questions about them, learned by an adapter."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from benchmarks._families import Asked, Family, Shape, Size
from benchmarks._families.pictures import CLASSES, data, opened, trainer
from benchmarks._families.texts import NOT_JUDGED

QUESTION = "what is it"
CHAT = (
    "{{ bos_token }}{% for message in messages %}{{ message['role'] | capitalize }} :"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<image>' }}{% else %} {{ part['text'] }}{% endif %}"
    "{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant :{% endif %}"
)
WORDS = ("<pad>", "<eos>", "<bos>", "<unk>", "<end_of_utterance>", "<image>")


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
    model = Idefics3ForConditionalGeneration(config)
    model.to(getattr(torch, shape["dtype"])).save_pretrained(folder)


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


def asked_about(chance: random.Random) -> dict[str, Any]:
    """Return a question and an answer of some words."""
    said = ["a picture of a", chance.choice(CLASSES), *["."] * chance.randrange(12)]
    return {"question": QUESTION, "answer": " ".join(said)}


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
    "dtype": "float32",  # of 16 bits ours would multiply in 16 where a CPU can, and by hand in 32
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
    "dtype": "bfloat16",
}  # fmt: skip
"""SmolVLM-256M, which is shown pictures of 512 points whole here."""

WORDS_AND_PICTURES = [
    Family(
        "vlm", write_smolvlm, data((640, 480), asked_about), answerer,
        Size(SMALL_VLM, 160, 8), Size(SMOLVLM, 800, 16),
        {"peft": True, "quantization": None, "gradient_accumulation": 1},
    ),
]  # fmt: skip
