"""KTO: answers that are each good or bad are read, learned as by TRL, and told apart."""

from __future__ import annotations

import copy
import csv
from pathlib import Path
from typing import Any

import pytest
from standins.laptop import Laptop
from test_llm_data import FACTS, split
from test_pairs_training import assert_same, gradients
from tiny_llm import job, samples, tokenizer, write_model, write_rows

from worker.contract import Event, Metric
from worker.errors import BadData
from worker.tasks.llm import TASK, trainers

pytestmark = [
    pytest.mark.timeout(280),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
]

ROWS: list[dict[str, Any]] = [
    {"prompt": "say one:", "completion": " the quick brown fox", "label": True},
    {"prompt": "and two then:", "completion": " the lazy dog says hello", "label": False},
    {"prompt": "three:", "completion": " jumps over", "label": True},
]


def params(**more: Any) -> Any:
    return TASK.params(model="m", data_path="d", trainer="kto", block_size=64, **more)


def read(rows: list[dict[str, Any]], **more: Any) -> Any:
    """Return what the check makes of rows."""
    asked, raw = params(**more), tokenizer().backend_tokenizer
    return trainers.of(asked).inspect(asked, {"train": split(rows)}, FACTS, raw)


def told(report: Any) -> str:
    return "\n".join(f"{found.level} {found.text} {found.fix}" for found in report.findings)


@pytest.mark.parametrize("label", [True, "yes", 1, "1", "True", "good", 1.0])
def test_labels_as_tables_have_them(label: Any) -> None:
    report = read([{**ROWS[0], "label": label}, ROWS[1]])
    assert "ok 1 good answers, 1 bad ones" in told(report)
    assert (report.rows, report.steps) == (2, 1)


def test_all_broken_rows_are_named() -> None:
    rows = [{**ROWS[0], "label": label} for label in (True, "perhaps", None, False, "perhaps")]
    text = told(read(rows))
    assert '"label" in train.jsonl' in text or '"label" in' in text
    assert "'perhaps', where true or false is expected" in text and "lines 2, 5" in text
    assert "is empty, where true or false is expected" in text and "line 3" in text


def test_the_example_says_what_becomes_of_it() -> None:
    good, bad = (read(rows).example.note for rows in (ROWS, ROWS[1:]))
    assert (good, bad) == ("good answer, made likelier", "bad answer, made unlikelier")


def test_uneven_labels_are_told_with_the_weight_that_helps() -> None:
    assert "warn 6 good answers, 1 bad ones --kto-undesirable-weight 6" in told(
        read([*[ROWS[0]] * 6, ROWS[1]])
    )
    assert "warn 2 good answers, 0 bad ones" in told(read([ROWS[0], ROWS[2]]))


def test_what_has_no_labels_is_refused() -> None:
    with pytest.raises(BadData, match='no column "label"') as caught:
        read([{"prompt": "a", "completion": "b", "labels": True}])
    assert caught.value.fix == "--label-column labels"
    with pytest.raises(BadData, match="pairs of answers") as caught:
        read([{"prompt": "a", "chosen": "b", "rejected": "c"}])
    assert caught.value.fix.startswith("--trainer dpo")
    with pytest.raises(BadData, match="has texts"):
        read([{"text": "a", "label": True}])


def test_of_a_conversation_the_last_answer_is_judged() -> None:
    chat = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "ho"},
        {"role": "user", "content": "who?"},
    ]
    good = {"role": "assistant", "content": "fox"}
    report = read([{"messages": [*chat, good], "label": True}, ROWS[1] | {"messages": chat}])
    assert "does not end with an answer" in told(report)
    assert report.example is not None
    learned = "".join(part.text for part in report.example.parts if part.learned)
    assert learned.startswith("fox")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("kto") / "tiny")


@pytest.mark.slow
def test_loss_and_gradients_of_a_batch_are_trls(folder: Path, tmp_path: Path) -> None:
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM
    from trl import KTOConfig, KTOTrainer

    from worker.tasks.llm.pairs.training.objectives import Kto
    from worker.tasks.llm.pairs.training.scores import score
    from worker.tasks.llm.pairs.training.verdicts import (
        CollateVerdicts,
        Judged,
        beside_others,
    )
    from worker.tasks.llm.tokens import Example, encode

    model = AutoModelForCausalLM.from_pretrained(folder, use_cache=False)
    reference = copy.deepcopy(model)
    torch.manual_seed(1)
    with torch.no_grad():
        for weights in reference.parameters():
            weights.add_(0.02 * torch.randn_like(weights))
    made = tokenizer()
    examples = [
        Example(row["prompt"] + row["completion"], ((len(row["prompt"]), 999),)) for row in ROWS
    ]
    tokens = encode(examples, made.backend_tokenizer, made.eos_token_id)
    judged = [Judged(one, row["label"]) for one, row in zip(tokens, ROWS, strict=True)]
    pairs = beside_others(judged, params(batch_size=3))
    batch = CollateVerdicts(pad=0)([(pair, (0.0, 0.0)) for pair in pairs])
    with torch.no_grad():
        asked = score(reference, batch)
    batch["references"] = torch.cat([asked.chosen, asked.rejected])
    outcome = Kto(0.3, 1.0, 1.2)(score(model, batch))
    outcome.loss.backward()  # type: ignore[no-untyped-call]

    args = KTOConfig(
        str(tmp_path), beta=0.3, undesirable_weight=1.2, per_device_train_batch_size=3,
        use_cpu=True, report_to=[], bf16=False, gradient_checkpointing=False,
    )  # fmt: skip
    theirs = KTOTrainer(
        model=copy.deepcopy(model), ref_model=reference, args=args,
        train_dataset=Dataset.from_list(ROWS), processing_class=made,
    )  # fmt: skip
    theirs.model.train()
    loss = theirs.compute_loss(theirs.model, theirs.data_collator([*theirs.train_dataset]))
    loss.backward()
    assert outcome.loss.item() == pytest.approx(loss.item(), abs=1e-4)
    assert_same(gradients(theirs.model), gradients(model))
    logged = theirs._metrics["train"]
    assert outcome.measured["kl"][0].item() == pytest.approx(logged["kl"][0], abs=1e-4)


@pytest.mark.slow
def test_other_answers_stand_beside_within_batches() -> None:
    from array import array

    from worker.tasks.llm.pairs.training.verdicts import Judged, beside_others
    from worker.tasks.llm.tokens import Tokens

    judged = [Judged(Tokens(array("i", [i, 90 + i]), bytes([0, 1])), good=True) for i in range(5)]
    found = [list(pair.rejected.ids) for pair in beside_others(judged, params(batch_size=2))]
    assert found == [[0, 91], [1, 90], [2, 94], [3, 92], [4, 93]]
    assert [list(p.rejected.ids) for p in beside_others(judged[:1], params())] == [[0, 90]]
    assert beside_others([], params()) == []


def measured(events: list[Event], name: str) -> list[float]:
    return [e.values[name] for e in events if isinstance(e, Metric) and name in e.values]


@pytest.mark.slow
@pytest.mark.parametrize("peft", [False, True])
def test_a_planted_preference_is_learned(folder: Path, tmp_path: Path, peft: bool) -> None:
    answers = ((" the quick brown fox", True), (" a dog says hello", False))
    rows = [
        {"prompt": f"say {i % 7}:", "completion": text, "label": good}
        for i in range(24)
        for text, good in answers
    ]
    data = write_rows(tmp_path / "train.jsonl", rows)
    valid = write_rows(tmp_path / "valid.jsonl", rows[:12])
    how: dict[str, Any] = {"trainer": "kto", "batch_size": 4, "epochs": 5, "logging_steps": 1}
    how |= (
        {"peft": True, "lr": 2e-2, "epochs": 8, "kto_beta": 0.3}
        if peft
        else {"lr": 2e-3, "samples": 2}
    )
    run_params, run, events = job(folder, data, tmp_path, valid=valid, **how)
    TASK.train(run_params, run)
    margins = measured(events, "rewards/margins")
    assert margins[0] < 0.1 and margins[-1] > 1
    assert measured(events, "valid_rewards/accuracies")[-1] == 1.0
    assert measured(events, "valid_rewards/margins")[-1] > 1
    assert (run.output / ("adapter_config.json" if peft else "config.json")).exists()
    for one in () if peft else samples(run.output):
        assert one["prompt"].startswith("say ") and one["data"] == one["after"][: len(one["data"])]
        assert one["data"].startswith(" the quick brown fox"), "a bad answer is no example"


@pytest.mark.slow
def test_a_job_with_the_command_line(shared_hub: Any, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny").symlink_to(folder)
    with (tmp_path / "rated.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, ("prompt", "completion", "label"))
        rows.writeheader()
        rows.writerows(ROWS * 6)
    laptop = Laptop(tmp_path / "home", shared_hub)
    done = laptop.run(
        *("llm", "--train", "--trainer", "kto", "--model", "tiny", "--data-path", "rated.csv"),
        *("--project-name", "rated", "--backend", "local", "--max-steps", "2"),
        HF_TOKEN="",
    )
    assert done.code == 0, done.err + done.out
    assert "18 answers with a label each" in done.out and "12 good answers, 6 bad" in done.out
    assert (tmp_path / "rated" / "model.safetensors").exists()
