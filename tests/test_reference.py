"""Our training beside others': a loop written by hand, and TRL's SFTTrainer, step by step.

All run in 32 bits on one thread, so what is left between them is the order of additions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest
from tiny_llm import EOS, IM_END, IM_START, job, write_model, write_rows

from worker.contract import Checkpoint, Event, Metric

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

STEPS, BATCH, ACCUMULATION, ROW = 20, 2, 2, 64
CLOSE, NEAR = 4e-6, 2e-5
"""Largest difference in losses and norms (1e-6 was seen), in weights and gradients (4e-6)."""
TEMPLATE = (
    "{% for message in messages %}{{ '" + IM_START + "' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '" + IM_END + "' }}{% endgeneration %}"
    "{% else %}{{ message['content'] + '" + IM_END + "' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '" + IM_START + "assistant\n' }}{% endif %}"
)
WORDS = ("the", "quick", "brown", "fox", "jumps", "over", "lazy", "dog", "and", "says", "hello")


def words(start: int, length: int) -> str:
    """Return words that differ from row to row, and rows that differ in length."""
    return " ".join(WORDS[(start * 5 + i * i) % len(WORDS)] for i in range(length))


def rows(kind: str, total: int, shift: int = 0) -> list[dict[str, Any]]:
    numbers = range(shift, shift + total)
    if kind == "pairs":
        return [
            {"prompt": f"say {words(i, 2)}:", "completion": " " + words(i, 1 + i % 7)}
            for i in numbers
        ]
    if kind == "texts":
        return [{"text": words(i, 2 + i % 7)} for i in numbers]
    return [
        {
            "messages": [
                {"role": role, "content": words(i + turn, 1 + (i + turn) % 4)}
                for turn, role in enumerate(("user", "assistant", "user", "assistant"))
            ]
        }
        for i in numbers
    ]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("reference") / "model", template=TEMPLATE)


def ours(
    model: Path, kind: str, folder: Path, last: Path | None = None, **settings: Any
) -> tuple[dict[str, list[float]], dict[str, Any], list[Event]]:
    """Return what each step reported, the weights at the end, and all events."""
    from worker.tasks.llm.training.train import train

    data = write_rows(folder / "train.jsonl", rows(kind, STEPS * BATCH * ACCUMULATION))
    valid = write_rows(folder / "valid.jsonl", rows(kind, 6, shift=500))
    how = {
        **{"block_size": ROW, "lr": 1e-3, "logging_steps": 1, "lora_dropout": 0.0},
        **{"batch_size": BATCH, "gradient_accumulation": ACCUMULATION, "packing": False},
        **{"trainer": "default" if kind == "texts" else "sft", "max_steps": STEPS},
        **settings,
    }
    params, run, events = job(model, data, folder, valid=valid, **how)
    train(params, replace(run, last_checkpoint=last))
    told: dict[str, list[float]] = {}
    for event in events:
        for name, value in event.values.items() if isinstance(event, Metric) else ():
            told.setdefault(name, []).append(value)
    return told, saved(run.output), events


def saved(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    (file,) = folder.glob("*.safetensors")
    return load_file(file)


def examples(model: Path, kind: str, found: list[dict[str, Any]]) -> list[tuple[Any, Any]]:
    """Return ids and labels of each row, by transformers' own tokenizer and template."""
    import torch
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    made = []
    for row in found:
        if kind == "messages":
            told = tokenizer.apply_chat_template(
                row["messages"], return_dict=True, return_assistant_tokens_mask=True
            )
            ids, learned = told["input_ids"], told["assistant_masks"]
        else:
            prompt, text = row.get("prompt", ""), row.get("completion", row.get("text"))
            ids = tokenizer(prompt + text + EOS).input_ids
            given = len(tokenizer(prompt).input_ids)
            learned = [0] * given + [1] * (len(ids) - given)
        labels = [token if one else -100 for token, one in zip(ids, learned, strict=True)]
        labels[0] = -100
        made.append((torch.tensor([ids]), torch.tensor([labels])))
    return made


def losses(net: Any, batch: list[tuple[Any, Any]]) -> tuple[Any, int]:
    """Return the sum of the losses of examples seen one by one, and how many tokens are learned."""
    import torch

    total, learned = torch.zeros(()), 0
    for ids, labels in batch:
        logits = net(input_ids=ids).logits[0, :-1].float()
        total = total + torch.nn.functional.cross_entropy(
            logits, labels[0, 1:], ignore_index=-100, reduction="sum"
        )
        learned += int((labels[0, 1:] != -100).sum())
    return total, learned


def shuffled(units: list[Any], size: int) -> Iterator[list[Any]]:
    """Yield what each step trains on, in the order of accelerate's seeded sampler, for ever."""
    import torch

    for seed in count(42):
        order = torch.randperm(len(units), generator=torch.Generator().manual_seed(seed))
        for start in range(0, len(units), size):
            yield [units[i] for i in order[start : start + size]]


def loaded(model: Path, *, peft: bool, **how: Any) -> Any:
    """Return the model as the libraries load it, with LoRA as our settings ask for it."""
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
    from transformers import AutoModelForCausalLM, set_seed

    set_seed(42)
    net = AutoModelForCausalLM.from_pretrained(model, **how)
    if how:
        net = prepare_model_for_kbit_training(net, use_gradient_checkpointing=False)
    return get_peft_model(net, LoraConfig(**LORA)) if peft else net


LORA: dict[str, Any] = {
    **{"r": 16, "lora_alpha": 32, "lora_dropout": 0.0},
    **{"target_modules": "all-linear", "task_type": "CAUSAL_LM"},
}


def by_hand(
    model: Path, kind: str, *, peft: bool, packing: bool, length: int = STEPS, **how: Any
) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Train as a textbook would; packed rows only say which examples share a step."""
    import torch

    from worker.tasks.llm.packing import training_rows

    found = examples(model, kind, rows(kind, STEPS * BATCH * ACCUMULATION))
    valid = examples(model, kind, rows(kind, 6, shift=500))
    net = loaded(model, peft=peft, **how).train()
    moving = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(moving, lr=1e-3, weight_decay=0.0)
    grouped = training_rows([ids.shape[1] for ids, _ in found], ROW, packing)
    told: dict[str, list[float]] = {"loss": [], "grad_norm": [], "lr": []}
    rising = 2 if length == STEPS else 0
    for step, batch in enumerate(islice(shuffled(grouped, BATCH * ACCUMULATION), length)):
        rate = step / rising if step < rising else (length - step) / (length - rising)
        rate *= 1e-3
        for group in optimizer.param_groups:
            group["lr"] = rate
        total, learned = losses(net, [found[i] for row in batch for i in row])
        loss = total / learned
        loss.backward()
        told["grad_norm"].append(float(torch.nn.utils.clip_grad_norm_(moving, 1.0)))
        told["loss"].append(float(loss))
        told["lr"].append(rate)
        optimizer.step()
        optimizer.zero_grad()
    # Not in eval mode: there is no dropout, and on some CPUs bitsandbytes then rounds otherwise.
    with torch.no_grad():
        total, learned = losses(net, valid)
    told["valid_loss"] = [float(total) / learned]
    weights = {
        name.replace(".default", ""): value
        for name, value in net.state_dict().items()
        if "lora" in name or not peft
    }
    return told, weights


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> float:
    """Return the largest difference between weights of the same names."""
    shared = ours.keys() & theirs.keys()
    assert ours.keys() == shared and len(shared) >= len(theirs) - 1  # a tied head is stored once
    return max(float((ours[name] - theirs[name]).abs().max()) for name in shared)


def alike(
    told: dict[str, list[float]],
    expected: dict[str, list[float]],
    length: int,
    close: float = CLOSE,
) -> None:
    """Assert that losses, norms and rates are the same step by step, and the last validation."""
    for name in ("loss", "grad_norm", "lr"):
        assert len(told[name]) == length
        assert told[name] == pytest.approx(expected[name], abs=close), name
    assert told["valid_loss"][-1] == pytest.approx(expected["valid_loss"][-1], abs=close)


@pytest.mark.parametrize(
    ("kind", "packing", "peft"),
    [("pairs", False, False), ("messages", True, True), ("texts", True, False)],
)
def test_each_step_is_that_of_a_loop_written_by_hand(
    kind: str, packing: bool, peft: bool, model: Path, tmp_path: Path
) -> None:
    told, weights, _ = ours(model, kind, tmp_path, peft=peft, packing=packing)
    expected, theirs = by_hand(model, kind, peft=peft, packing=packing)
    alike(told, expected, STEPS)
    assert differences(weights, theirs) < NEAR


@pytest.mark.parametrize("packing", [False, True])
def test_gradients_are_those_of_the_examples_seen_alone(
    packing: bool, model: Path, tmp_path: Path
) -> None:
    """One step of plain descent at rate 1 moves each weight by its gradient."""
    from transformers import AutoModelForCausalLM

    how: dict[str, Any] = {
        "optimizer": "sgd",
        "lr": 1.0,
        "max_steps": 1,
        "max_grad_norm": 1e9,
        "packing": packing,
    }
    _, weights, _ = ours(model, "pairs", tmp_path, gradient_accumulation=80, **how)
    net = AutoModelForCausalLM.from_pretrained(model)
    found = examples(model, "pairs", rows("pairs", STEPS * BATCH * ACCUMULATION))
    total, learned = losses(net, found)
    (total / learned).backward()
    stepped = {name: (p - p.grad).detach() for name, p in net.named_parameters()}
    largest = max(float(p.grad.abs().max()) for p in net.parameters())
    assert differences(weights, stepped) < NEAR * largest


@pytest.mark.parametrize("bits", ["int4", "int8"])
def test_each_step_on_a_quantized_base_is_that_of_a_loop_written_by_hand(
    bits: str, model: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import BitsAndBytesConfig

    how: dict[str, Any] = {
        "peft": True,
        "quantization": bits,
        "batch_size": 1,
        "gradient_accumulation": 4,
    }
    told, weights, _ = ours(model, "pairs", tmp_path, max_steps=5, **how)
    few = {
        "int8": BitsAndBytesConfig(load_in_8bit=True),
        "int4": BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        ),
    }
    expected, theirs = by_hand(
        model, "pairs", peft=True, packing=False, length=5, quantization_config=few[bits]
    )
    # The base multiplies in 16 bits: what the adapter adds is rounded once less than by peft.
    alike(told, expected, 5, close=1e-4)
    assert differences(weights, theirs) < 20 * NEAR


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "pairs", "save_steps": 7},
        {"kind": "messages", "save_steps": 13, "peft": True, "lora_dropout": 0.1, "packing": True},
    ],
    ids=["full", "lora"],
)
def test_resumed_training_ends_at_the_same_weights_to_the_last_bit(
    settings: dict[str, Any], model: Path, tmp_path: Path
) -> None:
    how = {**settings, "save_strategy": "steps", "save_total_limit": 9}
    told, weights, events = ours(model, folder=tmp_path / "whole", **how)
    saved_at = next(e for e in events if isinstance(e, Checkpoint))
    resumed, again, _ = ours(model, folder=tmp_path / "rest", last=Path(saved_at.where), **how)
    assert resumed["loss"] == told["loss"][saved_at.step :]
    assert resumed["valid_loss"][-1] == told["valid_loss"][-1]
    assert differences(again, weights) == 0


def by_trl(
    model: Path, kind: str, folder: Path, *, peft: bool, **settings: Any
) -> tuple[dict[str, list[float]], dict[str, Any], Any]:
    """Return what TRL's trainer makes of the same rows, and the trainer."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    how = {
        **{"max_length": ROW, "learning_rate": 1e-3, "logging_steps": 1, "warmup_steps": 0.1},
        **{"per_device_train_batch_size": BATCH, "gradient_accumulation_steps": ACCUMULATION},
        **{"per_device_eval_batch_size": 6, "eval_strategy": "epoch", "max_steps": STEPS},
        **{"bf16": False, "gradient_checkpointing": False, "use_cpu": True, "seed": 42},
        **{"assistant_only_loss": kind == "messages", "lr_scheduler_type": "linear"},
        **{"report_to": "none", "disable_tqdm": True, "save_strategy": "no"},
        **settings,
    }
    trainer = SFTTrainer(
        model=loaded(model, peft=False),
        args=SFTConfig(str(folder / "trl"), **how),
        train_dataset=Dataset.from_list(rows(kind, STEPS * BATCH * ACCUMULATION)),
        eval_dataset=Dataset.from_list(rows(kind, 6, shift=500)),
        processing_class=AutoTokenizer.from_pretrained(model),
        peft_config=LoraConfig(**LORA) if peft else None,
    )
    trainer.train()
    told = {
        ours: [entry[theirs] for entry in trainer.state.log_history if theirs in entry]
        for ours, theirs in (
            *(("loss", "loss"), ("grad_norm", "grad_norm")),
            *(("lr", "learning_rate"), ("valid_loss", "eval_loss")),
        )
    }
    weights = {
        name.replace(".default", ""): value
        for name, value in trainer.model.state_dict().items()
        if "lora" in name or not peft
    }
    return told, weights, trainer


@pytest.mark.parametrize(("kind", "peft"), [("pairs", False), ("messages", True)])
def test_each_step_is_that_of_trl(kind: str, peft: bool, model: Path, tmp_path: Path) -> None:
    told, weights, _ = ours(model, kind, tmp_path, peft=peft)
    expected, theirs, trainer = by_trl(model, kind, tmp_path, peft=peft)
    alike(told, expected, STEPS)
    assert differences(weights, theirs) < NEAR
    seen = [(row["input_ids"], row["labels"]) for row in trainer.train_dataset]
    assert seen == learned_by_us(model, kind, tmp_path)


def learned_by_us(model: Path, kind: str, folder: Path) -> list[tuple[list[int], list[int]]]:
    """Return ids and labels of the training rows in `folder`."""
    from transformers import AutoTokenizer

    from worker.tasks.llm.training.batches import Collate
    from worker.tasks.llm.training.corpus import tokenized

    params, run, _ = job(model, folder / "train.jsonl", folder, block_size=ROW, trainer="sft")
    corpus = tokenized(params, run, AutoTokenizer.from_pretrained(model))
    batches = [Collate(pad=0)([[tokens]]) for tokens in corpus.train]
    return [(batch["input_ids"][0].tolist(), batch["labels"][0].tolist()) for batch in batches]


def test_packed_rows_teach_what_they_teach_in_trl(model: Path, tmp_path: Path) -> None:
    """Rows are packed differently, so each step sees all of them."""
    told, weights, _ = ours(model, "texts", tmp_path, packing=True, gradient_accumulation=99)
    how = {"packing": True, "gradient_accumulation_steps": 99}
    expected, theirs, _ = by_trl(model, "texts", tmp_path, peft=False, **how)
    alike(told, expected, STEPS)
    assert differences(weights, theirs) < NEAR
