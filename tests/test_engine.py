"""Training for real, on a model small enough to learn its examples by heart in a second."""

from __future__ import annotations

import json
import math
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_llm import EOS, IM_END, chats, job, samples, write_model, write_rows

from worker.contract import Checkpoint, Chosen, Event, Metric, Phase, Progress
from worker.errors import BadConfig, BadData
from worker.samples import SAMPLES_FILE
from worker.splits import hold_out

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::FutureWarning")]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("engine") / "model")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("rows") / "train.jsonl", chats(40))


def trained(model: Path, data: Path, folder: Path, **settings: Any) -> tuple[Path, list[Event]]:
    from worker.tasks.llm.training.train import train

    params, run, events = job(model, data, folder, **settings)
    train(params, run)
    return run.output, events


def losses(events: list[Event], name: str = "loss") -> list[float]:
    return [e.values[name] for e in events if isinstance(e, Metric) and name in e.values]


def chosen(events: list[Event]) -> list[dict[str, int]]:
    return [e.settings for e in events if isinstance(e, Chosen)]


TEXTS = [{"text": "the quick brown fox jumps over the lazy dog " * (1 + i % 3)} for i in range(30)]
PAIRS = [{"prompt": f"say {i % 5}: ", "completion": "hello fox " * 5} for i in range(30)]


@pytest.mark.parametrize(
    ("rows", "settings"),
    [
        (chats(40), {"trainer": "sft"}),
        (chats(40), {"trainer": "sft", "chat_template": "zephyr", "peft": True, "lr": 5e-3}),
        (PAIRS, {"trainer": "sft", "packing": False, "batch_size": 4}),
        (TEXTS, {"trainer": "default", "batch_size": 2, "gradient_accumulation": 2}),
    ],
    ids=["messages", "messages-lora", "pairs", "texts"],
)
def test_the_loss_falls_and_the_model_loads(
    rows: list[dict[str, Any]], settings: dict[str, Any], model: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    data = write_rows(tmp_path / "train.jsonl", rows)
    output, events = trained(model, data, tmp_path, epochs=6, **settings)
    seen = losses(events)
    assert seen[-1] < 0.8 * seen[0]
    AutoTokenizer.from_pretrained(output)
    AutoModelForCausalLM.from_pretrained(output)
    assert isinstance(events[-1], Phase) and events[-1].name == "saved"


def test_tensorboard_can_read_the_curves_that_go_out_with_the_model(
    model: Path, data: Path, tmp_path: Path
) -> None:
    output, _ = trained(model, data, tmp_path, log="tensorboard", logging_steps=1, max_steps=3)
    (file,) = (output / "runs").iterdir()
    assert file.name == "events.out.tfevents.0.hubtrain"
    written = file.read_bytes()
    assert written.count(b"train/loss") >= 3
    assert str(tmp_path).encode() not in written


def test_progress_says_how_far_and_how_fast(model: Path, data: Path, tmp_path: Path) -> None:
    _, events = trained(model, data, tmp_path, epochs=2, trainer="sft")
    progress = [e for e in events if isinstance(e, Progress)]
    assert progress[0].step == 0 and progress[-1].step == progress[-1].total_steps
    assert progress[-1].units > 500 and (progress[-1].units_per_second or 0) > 0
    assert {event.unit for event in progress} == {"tokens"}
    assert progress[-1].eta_seconds == 0
    named = {name for e in events if isinstance(e, Metric) for name in e.values}
    assert named == {"loss", "lr", "grad_norm"}


def test_the_same_seed_repeats_and_another_differs(model: Path, data: Path, tmp_path: Path) -> None:
    runs = [
        losses(trained(model, data, tmp_path / name, seed=seed, peft=True, max_steps=6)[1])
        for name, seed in (("a", 7), ("b", 7), ("c", 42))
    ]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_validation_counts_every_token_alike(model: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    data = write_rows(tmp_path / "train.jsonl", TEXTS)
    held = write_rows(tmp_path / "valid.jsonl", [{"text": "dog"}, {"text": "the fox " * 9}])
    output, events = trained(model, data, tmp_path, valid=held, packing=False)
    tokenizer = AutoTokenizer.from_pretrained(output)
    net = AutoModelForCausalLM.from_pretrained(output)
    total, count = 0.0, 0
    for row in ("dog", "the fox " * 9):
        ids = torch.tensor([tokenizer(row + EOS).input_ids])
        with torch.no_grad():
            total += float(net(input_ids=ids, labels=ids).loss) * (ids.shape[1] - 1)
        count += ids.shape[1] - 1
    assert losses(events, "valid_loss")[-1] == pytest.approx(total / count, rel=1e-4)
    assert losses(events, "valid_perplexity")[-1] == pytest.approx(
        math.exp(total / count), rel=1e-3
    )


def test_a_share_is_held_out_and_evaluated(model: Path, data: Path, tmp_path: Path) -> None:
    _, events = trained(model, data, tmp_path, valid_split="0.1", epochs=2, trainer="sft")
    begun, *seen = [e for e in events if isinstance(e, Metric) and "valid_loss" in e.values]
    assert begun.step == 0 and len(seen) == 2
    assert len(hold_out(40, 0.1, seed=42)) == 4
    assert hold_out(40, 0.1, seed=42) == hold_out(40, 0.1, seed=42) != hold_out(40, 0.1, seed=7)


def test_samples_are_asked_before_and_after_and_change_nothing(
    model: Path, data: Path, tmp_path: Path
) -> None:
    how: dict[str, Any] = {"trainer": "sft", "valid_split": "0.2", "max_steps": 40, "lr": 1e-2}
    how |= {"block_size": 128, "eval_strategy": "no"}
    with_, events = trained(model, data, tmp_path / "with", samples=2, **how)
    without, silent = trained(model, data, tmp_path / "without", samples=0, **how)
    told = samples(with_)
    assert not (without / SAMPLES_FILE).exists()
    assert losses(events) == losses(silent)
    assert len(told) == 2 and told[0]["prompt"] != told[1]["prompt"]
    for one in told:
        assert one["prompt"].startswith("<|im_start|>user\nsay ")
        assert one["prompt"].endswith("<|im_start|>assistant\n")
        assert one["data"].startswith("the quick brown fox ") and one["data"].endswith("<|im_end|>")
        assert one["after"].startswith("the quick brown fox ") and one["before"] != one["after"]
    again, _ = trained(model, data, tmp_path / "again", samples=2, **how)
    assert samples(again) == told


def test_a_text_has_its_beginning_for_a_prompt(model: Path, tmp_path: Path) -> None:
    rows = [{"text": "the quick brown fox " * 9}, {"text": "a"}, {"text": "the lazy dog"}]
    data = write_rows(tmp_path / "texts.jsonl", rows)
    output, _ = trained(model, data, tmp_path, max_steps=1, samples=5)
    told = samples(output)
    assert [one["prompt"] + one["data"] for one in told][2] == "the lazy dog" + EOS
    assert told[0]["prompt"].startswith("the quick") and len(told) <= 3


def test_resumed_training_goes_on_with_the_same_losses(
    model: Path, data: Path, tmp_path: Path
) -> None:
    from worker.tasks.llm.training.train import train

    settings: dict[str, Any] = {"peft": True, "logging_steps": 1, "max_steps": 10}
    whole = losses(trained(model, data, tmp_path / "whole", **settings)[1])
    how = {**settings, "save_strategy": "steps", "save_steps": 5, "save_total_limit": 9}
    _, first = trained(model, data, tmp_path / "first", **how)
    saved = next(e for e in first if isinstance(e, Checkpoint))
    assert saved.step == 5
    params, run, events = job(model, data, tmp_path / "second", **settings)
    train(params, replace(run, last_checkpoint=Path(saved.where)))
    assert losses(events) == pytest.approx(whole[5:], rel=1e-5)
    assert next(e.step for e in events if isinstance(e, Progress)) == 5


def test_asked_to_stop_it_leaves_a_checkpoint(model: Path, data: Path, tmp_path: Path) -> None:
    from worker.tasks.llm.training.train import train

    params, run, events = job(model, data, tmp_path, epochs=50, save_strategy="no")
    run.stop.set()
    train(params, run)
    (saved,) = [e for e in events if isinstance(e, Checkpoint)]
    assert saved.step == 1 and (Path(saved.where) / "optimizer.pt").exists()
    assert not (run.output / "model.safetensors").exists()


@pytest.mark.parametrize("strategy", ["epoch", "steps"])
def test_asked_to_stop_it_validates_no_more(
    strategy: str, model: Path, data: Path, tmp_path: Path
) -> None:
    from worker.tasks.llm.training.train import train

    settings: dict[str, Any] = {"valid_split": "0.1", "eval_strategy": strategy}
    params, run, events = job(model, data, tmp_path, max_steps=3, **settings)
    run.stop.set()
    train(params, run)
    assert len([e for e in events if isinstance(e, Checkpoint)]) == 1
    assert not losses(events, "valid_loss")


def test_an_adapter_names_its_base_and_a_merged_one_needs_none(
    model: Path, data: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    settings = {"trainer": "sft", "peft": True, "max_steps": 4}
    adapter, _ = trained(model, data, tmp_path / "adapter", **settings)
    merged, _ = trained(model, data, tmp_path / "merged", merge_adapter=True, **settings)
    config = json.loads((adapter / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(model)
    assert not (adapter / "model.safetensors").exists()
    assert not (merged / "adapter_config.json").exists()
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        logits = [AutoModelForCausalLM.from_pretrained(f)(ids).logits for f in (adapter, merged)]
    assert (logits[0] - logits[1]).abs().max() < 1e-4


def test_the_tokenizer_loads_anywhere_and_generation_stops(
    model: Path, data: Path, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer, GenerationConfig

    output, _ = trained(model, data, tmp_path, trainer="sft", chat_template="chatml", max_steps=2)
    config = json.loads((output / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    tokenizer = AutoTokenizer.from_pretrained(output)
    assert "generation" not in tokenizer.chat_template.replace("add_generation_prompt", "")
    end = tokenizer.convert_tokens_to_ids(IM_END)
    assert end in GenerationConfig.from_pretrained(output).eos_token_id


def test_bfloat16_checkpoints_train_all_weights_in_32_bits(
    model: Path, data: Path, tmp_path: Path
) -> None:
    import torch

    from worker.engine.model import precision

    full, lora = (job(model, data, tmp_path, peft=peft)[0] for peft in (False, True))
    assert precision(full, torch.bfloat16).weights == torch.float32
    assert precision(full, torch.float32).autocast is None
    assert precision(lora, torch.float32).weights == torch.float32
    with pytest.raises(BadConfig, match="fp16 needs a GPU"):
        precision(full.model_copy(update={"mixed_precision": "fp16"}), torch.float32)


@pytest.mark.parametrize("bits", ["int4", "int8"])
def test_a_quantized_base_trains(bits: str, model: Path, data: Path, tmp_path: Path) -> None:
    settings = {"quantization": bits, "lr": 5e-3, "epochs": 3, "valid_split": "0.1"}
    output, events = trained(model, data, tmp_path, trainer="sft", peft=True, **settings)
    seen = losses(events, "valid_loss")
    assert seen[2] < seen[1] < seen[0] and (output / "adapter_model.safetensors").exists()


def test_a_quantized_base_is_merged_as_it_was_published(
    model: Path, data: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    settings = {"quantization": "int4", "peft": True, "merge_adapter": True, "lr": 0.05}
    output, _ = trained(model, data, tmp_path, trainer="sft", max_steps=3, **settings)
    assert "quantization_config" not in json.loads((output / "config.json").read_text())
    whole, base = (AutoModelForCausalLM.from_pretrained(f) for f in (output, model))
    layers = zip(whole.named_parameters(), base.named_parameters(), strict=True)
    moved = {name for (name, ours), (_, theirs) in layers if not ours.equal(theirs)}
    assert moved == {name for name, _ in base.named_parameters() if "_proj" in name}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_merging_is_what_peft_makes_of_the_published_weights(
    dtype: str, model: Path, data: Path, tmp_path: Path
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = tmp_path / "base"
    AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype)).save_pretrained(base)
    AutoTokenizer.from_pretrained(model).save_pretrained(base)
    # As on a machine that is fast in bfloat16, whichever this one is.
    how = {"mixed_precision": "bf16", "peft": True, "lr": 0.01, "max_steps": 3}
    adapter, _ = trained(base, data, tmp_path / "adapter", **how)
    output, _ = trained(base, data, tmp_path / "merged", merge_adapter=True, **how)
    published = AutoModelForCausalLM.from_pretrained(base, dtype=getattr(torch, dtype))
    theirs = PeftModel.from_pretrained(published, adapter).merge_and_unload().state_dict()
    ours = AutoModelForCausalLM.from_pretrained(output, dtype="auto").state_dict()
    assert ours.keys() == theirs.keys()
    assert {name for name in ours if not ours[name].equal(theirs[name])} == set()


def test_a_model_goes_out_as_it_came_in(model: Path, data: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    half = tmp_path / "half"
    AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16).save_pretrained(half)
    AutoTokenizer.from_pretrained(model).save_pretrained(half)
    output, _ = trained(half, data, tmp_path, trainer="sft", max_steps=1)
    config = json.loads((output / "config.json").read_text())
    assert (config["dtype"], config["use_cache"]) == ("bfloat16", True)
    assert next(AutoModelForCausalLM.from_pretrained(output).parameters()).dtype == torch.bfloat16


def test_recomputed_activations_change_nothing(model: Path, data: Path, tmp_path: Path) -> None:
    import os

    settings = {"trainer": "sft", "max_steps": 3, "logging_steps": 1}
    _, kept = trained(model, data, tmp_path / "kept", **settings)
    os.environ["MEMORY"] = "1Mi"  # nothing fits: activations are recomputed
    try:
        _, redone = trained(model, data, tmp_path / "redone", **settings)
    finally:
        del os.environ["MEMORY"]
    assert losses(redone) == pytest.approx(losses(kept), rel=1e-5)
    passes = {"batch_size": 1, "gradient_accumulation": 1}
    assert chosen(kept) == [{**passes, "recomputed_activations": False}]
    assert chosen(redone) == [{**passes, "recomputed_activations": True}]


def test_a_missing_tracker_is_said_before_anything_is_loaded(
    model: Path, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadConfig, match="wandb is not installed"):
        trained(model, data, tmp_path, log="wandb")


def test_trackio_gets_a_run_of_the_job_in_the_project_of_the_job_and_no_key(
    model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trackio = pytest.importorskip("trackio.utils")
    from worker.tasks.llm.training.train import train

    for name, value in {"HF_TOKEN": "", "WANDB_API_KEY": "canary-of-wandb"}.items():
        monkeypatch.setenv(name, value)
    params, run, events = job(model, data, tmp_path, log="trackio", max_steps=3)
    train(params, replace(run, project="bot", job_id="k4x7qp"))
    file = Path(trackio.TRACKIO_DIR) / "bot.db"
    with closing(sqlite3.connect(file)) as kept:
        rows = kept.execute("SELECT run_name, metrics FROM metrics ORDER BY step").fetchall()
    assert {name for name, _ in rows} == {"k4x7qp"}
    told = [json.loads(values)["train/loss"] for _, values in rows if b"train/loss" in values]
    assert told == pytest.approx(losses(events))
    assert not any(b"canary" in path.read_bytes() for path in file.parent.iterdir())


def test_a_folder_without_a_model_is_said(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="cannot be loaded"):
        trained(tmp_path, data, tmp_path)


def test_rows_with_nothing_to_learn_are_said(model: Path, tmp_path: Path) -> None:
    data = write_rows(
        tmp_path / "train.jsonl", [{"messages": [{"role": "user", "content": "hello"}]}]
    )
    with pytest.raises(BadData, match="has anything to learn"):
        trained(model, data, tmp_path, trainer="sft")


@pytest.mark.parametrize("name", ["chatml", "zephyr"])
def test_a_template_without_its_marks_writes_the_same_text(name: str) -> None:
    from worker.engine.speaking import without_marks
    from worker.tasks.llm.chat import Template, named

    loose = (
        "{% for m in messages %}\n {%- generation %} {{ m.role }} {% endgeneration -%} \n"
        "{% endfor %}"
    )
    for source in (named(name), loose):
        bare = without_marks(source)
        assert "generation" not in bare.replace("add_generation_prompt", "")
        turns = chats(3)[2]["messages"]
        tokens = {"eos_token": EOS}
        assert Template(bare, tokens).render(turns) == Template(source, tokens).render(turns)


def test_names_of_optimizers_and_schedulers_are_those_of_transformers(model: Path) -> None:
    from transformers.trainer_utils import SchedulerType
    from transformers.training_args import OptimizerNames

    from worker.common import OPTIMIZERS, SCHEDULERS

    assert {name.value for name in OptimizerNames} >= OPTIMIZERS
    assert {name.value for name in SchedulerType} >= SCHEDULERS
    with pytest.raises(ValueError, match="did you mean cosine"):
        job(model, model, model, scheduler="cosin")


def test_every_optimizer_is_there_and_what_it_needs_is_not_left_out(tmp_path: Path) -> None:
    import torch
    from transformers import Trainer, TrainingArguments

    from worker.common import OPTIMIZERS
    from worker.engine.lean import unused

    for name in sorted(OPTIMIZERS):
        params = job(tmp_path, tmp_path, tmp_path, optimizer=name)[0]
        if params.low_rank:  # ours; tests/test_low_rank.py tries each
            theirs = "8bit" in name
        else:
            args = TrainingArguments(str(tmp_path), optim=name, use_cpu=True)
            made, _ = Trainer.get_optimizer_cls_and_kwargs(args, torch.nn.Linear(2, 2))
            theirs = made.__module__.startswith("bitsandbytes")
        assert ("bitsandbytes" not in unused(params)) == theirs, name


def test_bitsandbytes_neither_fetches_code_nor_asks_for_what_would() -> None:
    program = "import sys, worker.engine.model, bitsandbytes; print(sys.modules['kernels'])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("None\n", "")
