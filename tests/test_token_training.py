"""Training of taggers: judged by stock transformers, its Trainer and its pipeline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_reader import job, sentences, tokenizer, train, write_model

from worker.contract import Checkpoint, Event, Metric
from worker.evaluation_plots import JUDGED_FILE
from worker.tasks.token_classification import TASK

pytestmark = pytest.mark.slow

TAGS = ("B-LOC", "B-PER", "I-LOC", "I-PER", "O")

LOSS = 5e-3
"""How far a validation loss may be off: it is a mean of batches, which are others here."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def trained(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    folder = tmp_path_factory.mktemp("job")
    return train(TASK, model, sentences(200, most=6), folder, sentences(40, 1))


def told(events: Sequence[Event], name: str) -> dict[int, float]:
    return {e.step: e.values[name] for e in events if isinstance(e, Metric) and name in e.values}


def test_names_are_learned_measured_and_kept_in_the_config(
    trained: tuple[Path, list[Event]],
) -> None:
    output, events = trained
    for name in ("f1", "precision", "recall", "accuracy"):
        assert list(told(events, f"valid_{name}").values())[-1] > 0.9
    assert (output / JUDGED_FILE).is_file()
    config = json.loads((output / "config.json").read_text())
    assert list(config["id2label"].values()) == list(TAGS)
    assert config["architectures"] == ["BertForTokenClassification"]


def test_entities_are_whole_words_with_their_places_also_in_long_texts(
    trained: tuple[Path, list[Event]],
) -> None:
    """`Gds` is three tokens, of which one tag is told; the model sees 96 of the 800 tokens."""
    once = "Ann Gds works in Rtk . "
    found = TASK.answer(str(trained[0]), TASK.question(text=once * 80))
    assert len(found) == 160
    for number, (person, place) in enumerate(zip(found[::2], found[1::2], strict=True)):
        start = number * len(once)
        assert (person["entity_group"], person["word"]) == ("PER", "Ann Gds")
        assert (person["start"], person["end"]) == (start, start + 7)
        assert (place["entity_group"], place["word"]) == ("LOC", "Rtk")
        assert 0.5 < place["score"] <= 1


def test_the_snippet_of_the_card_runs_as_it_stands(
    trained: tuple[Path, list[Event]], capsys: pytest.CaptureFixture[str]
) -> None:
    code = TASK.loading(TASK.params(data_path="x"), str(trained[0]), adapter=False)
    exec("\n".join(code.splitlines()[1:-1]), {})
    assert "entity_group" in capsys.readouterr().out


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_losses_and_measures_are_those_of_transformers_own_trainer(
    model: Path, tmp_path: Path, seed: int
) -> None:
    head = _with_head(model, tmp_path / "head", seed)
    rows, valid = sentences(48, seed), sentences(16, seed + 10)
    how: dict[str, Any] = {
        "group_by_length": False,
        "logging_steps": 1,
        "seed": seed,
        "warmup_ratio": 0.0,
    }
    params, run, events = job(TASK, head, rows, tmp_path / "ours", valid=valid, **how)
    TASK.train(params, run)
    losses, measured = _by_transformers(head, rows, valid, tmp_path / "theirs", seed)
    assert list(told(events, "loss").values()) == pytest.approx(losses, abs=1e-4)
    assert next(iter(told(events, "loss").values())) == pytest.approx(losses[0], abs=1e-5)
    for name, value in measured.items():
        assert told(events, f"valid_{name}")[6] == pytest.approx(
            value, abs=LOSS if name == "loss" else 1e-9
        ), name


def _with_head(model: Path, folder: Path, seed: int) -> Path:
    import torch
    from transformers import AutoModelForTokenClassification

    torch.manual_seed(seed)
    names = dict(enumerate(TAGS))
    numbers = {name: number for number, name in names.items()}
    made = AutoModelForTokenClassification.from_pretrained(model, id2label=names, label2id=numbers)
    made.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def _by_transformers(
    model: Path, rows: list[Any], valid: list[Any], folder: Path, seed: int
) -> tuple[list[float], dict[str, float]]:
    """Return the losses and measures of the stock class, with seqeval, words split beforehand."""
    from seqeval.metrics import accuracy_score, f1_score
    from transformers import (
        AutoModelForTokenClassification,
        AutoTokenizer,
        DataCollatorForTokenClassification,
        Trainer,
        TrainingArguments,
    )

    reads = AutoTokenizer.from_pretrained(model)

    def labelled(row: Any, *, judged: bool) -> dict[str, Any]:
        told = reads(row["tokens"], is_split_into_words=True, truncation=True, max_length=96)
        labels, before = [], None
        for word in told.word_ids():
            tag = "" if word is None else row["tags"][word]
            if word is not None and word == before:
                tag = "" if judged else tag.replace("B-", "I-")
            labels.append(TAGS.index(tag) if tag else -100)
            before = word
        return {**told, "labels": labels}

    def measured(seen: Any) -> dict[str, float]:
        guesses, labels = seen.predictions.argmax(-1), seen.label_ids
        sides = [
            [[TAGS[t] for t, k in zip(some, kept, strict=True) if k != -100] for some, kept in each]
            for each in (zip(labels, labels, strict=True), zip(guesses, labels, strict=True))
        ]
        return {"f1": f1_score(*sides), "accuracy": accuracy_score(*sides)}

    trainer = Trainer(
        model=AutoModelForTokenClassification.from_pretrained(model),
        args=TrainingArguments(
            str(folder),
            **{"per_device_train_batch_size": 8, "num_train_epochs": 1, "learning_rate": 1e-3},
            **{"logging_steps": 1, "seed": seed, "use_cpu": True, "save_strategy": "no"},
            **{"report_to": [], "disable_tqdm": True},
        ),
        train_dataset=[labelled(row, judged=False) for row in rows],
        eval_dataset=[labelled(row, judged=True) for row in valid],
        data_collator=DataCollatorForTokenClassification(reads),
        compute_metrics=measured,
    )
    trainer.train()
    losses = [log["loss"] for log in trainer.state.log_history if "loss" in log]
    found = trainer.evaluate()
    return losses, {name: found[f"eval_{name}"] for name in ("loss", "f1", "accuracy")}


def test_byte_level_tokens_are_those_of_running_text() -> None:
    from tiny_llm import tokenizer as byte_level

    from worker.tasks.token_classification.rows import Sentence
    from worker.tasks.token_classification.training.labelled import labelled

    reads, words = byte_level(), ("the", "Ulm", "", "fox")
    one = Sentence(1, words, ("O", "B-A", "O", None))
    numbers = {"O": 0, "B-A": 1, "I-A": 2}
    (row,) = labelled(reads, [one], numbers, 64, judged=False)
    assert list(row["input_ids"]) == reads("the Ulm  fox")["input_ids"]
    labels = [int(label) for label in row["labels"] if label != -100]
    assert len(labels) > 3 and list(dict.fromkeys(labels)) == [0, 1, 2] and labels.count(1) == 1
    (judged,) = labelled(reads, [one], numbers, 64, judged=True)
    assert [label for label in judged["labels"] if label != -100] == [0, 1]


def test_an_interrupted_training_goes_on_as_if_it_had_not_been(model: Path, tmp_path: Path) -> None:
    rows = sentences(40)
    how: dict[str, Any] = {"logging_steps": 1, "epochs": 2, "save_strategy": "no"}
    params, run, whole = job(TASK, model, rows, tmp_path / "whole", **how)
    TASK.train(params, run)
    params, run, first = job(TASK, model, rows, tmp_path / "first", **how)

    def emit(event: Event) -> None:
        first.append(event)
        if isinstance(event, Metric) and event.step == 3:
            run.stop.set()

    TASK.train(params, replace(run, emit=emit))
    (left,) = [event for event in first if isinstance(event, Checkpoint)]
    params, run, second = job(TASK, model, rows, tmp_path / "second", **how)
    TASK.train(params, replace(run, last_checkpoint=Path(left.where)))
    both = told(first, "loss") | told(second, "loss")
    assert both == pytest.approx(told(whole, "loss"), rel=1e-4)
    assert len(both) == 10


def test_an_adapter_is_merged_and_loads_alike(model: Path, tmp_path: Path) -> None:
    how: dict[str, Any] = {"valid": sentences(20, 1), "epochs": 3, "lr": 1e-2, "peft": True}
    params, run, events = job(TASK, model, sentences(150), tmp_path, **how)
    TASK.train(params, run)
    assert not (run.output / "adapter_config.json").exists()
    assert max(told(events, "valid_f1").values()) > 0.8
    assert TASK.answer(str(run.output), TASK.question(text="Ann works in Ulm ."))
