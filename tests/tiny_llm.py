"""A Llama of 100 thousand parameters with a tokenizer, and jobs that train it in a second."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tiny_run import run_of

from worker.contract import Event
from worker.samples import SAMPLES_FILE
from worker.task import Run
from worker.tasks.llm import TASK
from worker.tasks.llm.params import LlmParams

EOS, IM_START, IM_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def tokenizer(*, template: str | None = TEMPLATE, im_tokens: bool = True) -> Any:
    """Return a byte-level tokenizer of some 300 tokens, as transformers knows it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.train_from_iterator(
        ["the quick brown fox jumps over the lazy dog and says hello"] * 3,
        trainers.BpeTrainer(
            vocab_size=300,
            special_tokens=[EOS, *([IM_START, IM_END] if im_tokens else [])],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    made = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token=EOS, pad_token=EOS)
    made.chat_template = template
    return made


def write_model(folder: Path, **how: Any) -> Path:
    """Write a model with random 32-bit weights, always the same; return `folder`."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer(**how).save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=304,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def write_rows(file: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write JSON lines; return `file`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def chats(count: int) -> list[dict[str, Any]]:
    """Return conversations of two turns that a tiny model can learn by heart."""
    return [
        {
            "messages": [
                {"role": "user", "content": f"say {i % 5}"},
                {"role": "assistant", "content": "the quick brown fox " * (1 + i % 5)},
            ]
        }
        for i in range(count)
    ]


def samples(output: Path) -> list[dict[str, str]]:
    """Return what a model said before and after, as it lies beside it."""
    told: list[dict[str, str]] = json.loads((output / SAMPLES_FILE).read_text("utf-8"))["samples"]
    return told


def job(
    model: Path, data: Path, folder: Path, *, valid: Path | None = None, **settings: Any
) -> tuple[LlmParams, Run, list[Event]]:
    """Return settings, the run they make, and the list its events will be in."""
    small = {"block_size": 64, "lr": 1e-3, "batch_size": 1, "gradient_accumulation": 1}
    small |= {"samples": 0}  # which take longer than the training
    params = TASK.params(model=str(model), data_path=str(data), **{**small, **settings})
    run, events = run_of(TASK, params, model, data, folder, valid=valid)
    return params, run, events
