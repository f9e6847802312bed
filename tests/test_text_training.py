"""Training on texts: judged by transformers' own Trainer, scikit-learn and stock pipelines."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_bert
import tiny_llm
from tiny_text import job, rows, told, write_rows

from worker.contract import Checkpoint, Event, Progress
from worker.errors import BadData
from worker.tasks.text_classification import TASK as CLASSES
from worker.tasks.text_regression import TASK as NUMBERS

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::FutureWarning")]

PATIENT: dict[str, Any] = {"early_stopping_patience": 99}
TRAINED, UNSEEN = rows(240), rows(60, first=5000)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert.write_model(tmp_path_factory.mktemp("text") / "bert")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("rows") / "train.jsonl", TRAINED)


Given = tuple[Path, Path, Path]


@pytest.fixture(scope="module")
def given(model: Path, data: Path) -> Given:
    """A model, a training and a validation split."""
    return model, data, write_rows(data.parent / "valid.jsonl", UNSEEN[:40])


Trained = tuple[Any, Any, list[Event]]


@pytest.fixture(scope="module")
def foxes(model: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A model that tells whether there is a fox: settings, run and events."""
    found = job(CLASSES, model, data, tmp_path_factory.mktemp("foxes"), epochs=12, **PATIENT)
    CLASSES.train(*found[:2])
    return found


def asked(folder: Path, **how: Any) -> list[Any]:
    """Return what stock transformers says of texts that no training saw."""
    from transformers import pipeline

    ask = pipeline("text-classification", model=str(folder), **how)
    found: list[Any] = ask([row["text"] for row in UNSEEN])
    return found


def test_classes_are_learned_and_told_by_stock_transformers(foxes: Trained) -> None:
    params, run, events = foxes
    right = [a["label"] == row["label"] for a, row in zip(asked(run.output), UNSEEN, strict=True)]
    assert sum(right) > 54
    assert {"judged.png", "precision_recall.png"} <= {file.name for file in run.output.iterdir()}
    config = json.loads((run.output / "config.json").read_text("utf-8"))
    assert config["id2label"] == {"0": "fox", "1": "none"}
    assert config["problem_type"] == "single_label_classification"
    last = {name: told(events, f"valid_{name}")[-1] for name in ("accuracy", "f1", "auc", "loss")}
    assert last["accuracy"] > 0.9 < last["f1"] and last["auc"] > 0.95
    assert {"valid_precision", "valid_recall"} <= {
        n for e in events for n in vars(e).get("values", {})
    }
    progress = [e for e in events if isinstance(e, Progress)][-1]
    assert (progress.unit, progress.step) == ("texts", params.steps(192))


def test_a_question_is_answered(foxes: Trained) -> None:
    question = CLASSES.question(text="the quick fox says hello", top_k=2)
    answer = CLASSES.answer(str(foxes[1].output), question)
    assert [one["label"] for one in answer] == ["fox", "none"]
    assert sum(one["score"] for one in answer) == pytest.approx(1, abs=1e-4)


def test_several_classes_of_a_text_are_learned(foxes: Trained, data: Path, tmp_path: Path) -> None:
    how: dict[str, Any] = {"target_column": "animals", "epochs": 15, **PATIENT}
    params, run, events = job(CLASSES, foxes[1].output, data, tmp_path, **how)
    CLASSES.train(params, run)
    assert told(events, "valid_f1_micro")[-1] > 0.65
    assert told(events, "valid_accuracy")[-1] < told(events, "valid_f1_micro")[-1]
    config = json.loads((run.output / "config.json").read_text("utf-8"))
    assert config["problem_type"] == "multi_label_classification"
    assert (run.output / "judged.png").is_file()
    right = 0
    for answer, row in zip(asked(run.output, top_k=None), UNSEEN, strict=True):
        right += sum((a["score"] > 0.5) == (a["label"] in row["animals"]) for a in answer)
    assert right / (3 * len(UNSEEN)) > 0.7


def test_numbers_far_from_zero_are_learned(model: Path, data: Path, tmp_path: Path) -> None:
    how: dict[str, Any] = {"target_column": "count", "epochs": 15, **PATIENT}
    params, run, events = job(NUMBERS, model, data, tmp_path, **how)
    NUMBERS.train(params, run)
    assert told(events, "valid_r2")[-1] > 0.5
    assert (run.output / "judged.png").is_file()
    mse, rmse = (told(events, f"valid_{name}")[-1] for name in ("mse", "rmse"))
    assert rmse == pytest.approx(mse**0.5)
    guesses = [answer["score"] for answer in asked(run.output)]
    truth = [row["count"] for row in UNSEEN]
    off = sum((g - t) ** 2 for g, t in zip(guesses, truth, strict=True)) / len(truth)
    assert off == pytest.approx(mse, rel=1), "the model that is saved tells the numbers themselves"
    (number,) = (NUMBERS.answer(str(run.output), NUMBERS.question(text=UNSEEN[0]["text"])),)
    assert number == pytest.approx(guesses[0], rel=1e-4)


@pytest.mark.parametrize(
    ("task", "column"), [(CLASSES, "label"), (CLASSES, "animals"), (NUMBERS, "count")]
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_losses_and_measures_are_those_of_transformers_own_trainer(
    task: Any, column: str, seed: int, given: Given, tmp_path: Path
) -> None:
    """The same rows in the same order: without batches by length both shuffle alike."""
    model, data, valid = given
    how: dict[str, Any] = {"group_by_length": False, "max_steps": 24, "logging_steps": 1, **PATIENT}
    params, run, events = job(
        task, model, data, tmp_path / "ours", valid=valid, seed=seed, eval_strategy="steps",
        target_column=column, **how,
    )  # fmt: skip
    task.train(params, run)
    losses, last = by_transformers(model, column, seed, tmp_path / "theirs")
    assert told(events, "loss") == pytest.approx(losses, abs=1e-5)
    for name, value in last.items():
        assert told(events, f"valid_{name}")[-1] == pytest.approx(value, abs=2e-4), name


def by_transformers(
    model: Path, column: str, seed: int, folder: Path
) -> tuple[list[float], dict[str, float]]:
    """Return the losses of a stock Trainer, and what scikit-learn measures of what it tells."""
    import numpy as np
    from sklearn import metrics
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    set_seed(seed)
    names = {"label": ("fox", "none"), "animals": ("dog", "fox", "lazy"), "count": ("count",)}[
        column
    ]
    counts = np.array([row["count"] for row in TRAINED])
    kind = {"label": "single_label", "animals": "multi_label"}.get(column)
    problem = f"{kind}_classification" if kind else "regression"
    net = AutoModelForSequenceClassification.from_pretrained(
        model, id2label=dict(enumerate(names)), problem_type=problem
    )
    tokenizer = AutoTokenizer.from_pretrained(model)

    def label(row: Any) -> Any:
        if column == "label":
            return names.index(row["label"])
        if column == "animals":
            return [float(name in row["animals"]) for name in names]
        return float((row["count"] - counts.mean()) / counts.std())

    def made(found: Any) -> list[dict[str, Any]]:
        return [
            {**tokenizer(row["text"], truncation=True, max_length=32), "labels": label(row)}
            for row in found
        ]

    args = TrainingArguments(
        output_dir=str(folder), max_steps=24, per_device_train_batch_size=8, learning_rate=3e-3,
        warmup_steps=3, logging_steps=1, seed=seed, report_to=[], use_cpu=True, disable_tqdm=True,
        save_strategy="no", optim="adamw_torch", eval_strategy="steps", eval_steps=2,
    )  # fmt: skip
    valid = made(UNSEEN[:40])
    trainer = Trainer(net, args, DataCollatorWithPadding(tokenizer), made(TRAINED), valid)
    trainer.train()
    losses = [one["loss"] for one in trainer.state.log_history if "loss" in one]
    told = trainer.predict(valid)
    logits, labels = told.predictions, told.label_ids
    if column == "count":
        guess, truth = (x.reshape(-1) * counts.std() + counts.mean() for x in (logits, labels))
        return losses, {"r2": metrics.r2_score(truth, guess)}
    if column == "animals":
        guessed = logits > 0
        f1 = {
            f"f1_{how}": metrics.f1_score(labels, guessed, average=how)
            for how in ("micro", "macro")
        }
        return losses, {"accuracy": metrics.accuracy_score(labels, guessed), **f1}
    return losses, {
        "accuracy": metrics.accuracy_score(labels, logits.argmax(1)),
        "f1": metrics.f1_score(labels, logits.argmax(1)),
        "auc": metrics.roc_auc_score(labels, logits[:, 1] - logits[:, 0]),
    }


def test_what_resumes_goes_on_as_if_it_had_not_stopped(
    model: Path, data: Path, tmp_path: Path
) -> None:
    """In the middle of an epoch, with batches by length, dropout and all."""
    how: dict[str, Any] = {"epochs": 2, "logging_steps": 1, "save_strategy": "steps"}
    how |= {"save_steps": 31, "save_total_limit": 9}
    params, run, events = job(CLASSES, model, data, tmp_path / "whole", **how, eval_strategy="no")
    CLASSES.train(params, run)
    kept = next(e for e in events if isinstance(e, Checkpoint))
    params, again, later = job(CLASSES, model, data, tmp_path / "rest", **how, eval_strategy="no")
    folder = again.work / "checkpoint"
    shutil.copytree(kept.where, folder / Path(kept.where).name)
    CLASSES.train(params, replace(again, last_checkpoint=folder / Path(kept.where).name))
    assert told(later, "loss") == pytest.approx(told(events, "loss")[kept.step :], abs=1e-6)


def test_batches_have_texts_of_about_the_same_length() -> None:
    import random

    from worker.families.text.training.batches import ByLength

    chance = random.Random(0)
    lengths = [chance.randint(4, 128) for _ in range(1003)]
    order = list(ByLength(lengths, 8, 7, lambda: 0))
    assert sorted(order) == list(range(1003))
    batches = [order[i : i + 8] for i in range(0, 1003, 8)]
    padded = sum(len(b) * max(lengths[i] for i in b) for b in batches)
    assert sum(lengths) / padded > 0.97
    assert max(lengths) in [lengths[i] for i in batches[0]], "memory that lacks is told at once"
    assert order == list(ByLength(lengths, 8, 7, lambda: 0))
    assert order != list(ByLength(lengths, 8, 7, lambda: 1))
    assert order != list(ByLength(lengths, 8, 8, lambda: 0))


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_is_that_of_the_tokenizer(side: str) -> None:
    import torch
    from transformers import DataCollatorWithPadding

    from worker.families.text.training.batches import Collate, tokenized

    tokenizer = tiny_bert.tokenizer()
    tokenizer.padding_side = side
    texts = ["the fox", "the quick brown fox says hello", "dog"]
    ours = Collate(tokenizer)(tokenized(tokenizer, texts, 6))
    theirs = DataCollatorWithPadding(tokenizer)(
        [tokenizer(t, truncation=True, max_length=6) for t in texts]
    )
    assert set(ours) == set(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("task", [CLASSES, NUMBERS])
def test_an_adapter_is_merged_into_a_model_that_loads_alike(
    task: Any, foxes: Trained, data: Path, tmp_path: Path
) -> None:
    """It starts from a trained model: beside random weights an adapter learns next to nothing."""
    column = "label" if task is CLASSES else "count"
    how: dict[str, Any] = {"peft": True, "lr": 1e-2, "epochs": 10, "target_column": column}
    params, run, events = job(task, foxes[1].output, data, tmp_path, **how, **PATIENT)
    task.train(params, run)
    assert not (run.output / "adapter_config.json").exists()
    if task is CLASSES:
        right = [a["label"] == r["label"] for a, r in zip(asked(run.output), UNSEEN, strict=True)]
        assert sum(right) > 50
    else:
        guesses = [answer["score"] for answer in asked(run.output)]
        pairs = zip(guesses, (row["count"] for row in UNSEEN), strict=True)
        assert (
            sum(abs(guess - true) for guess, true in pairs) / 60
            < 1.5 * told(events, "valid_mae")[-1]
        )


def test_a_decoder_without_a_padding_token_tells_classes(data: Path, tmp_path: Path) -> None:
    model = tiny_llm.write_model(tmp_path / "llama")
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (file := model / name).exists():
            told_of = json.loads(file.read_text("utf-8"))
            told_of.pop("pad_token", None)
            file.write_text(json.dumps(told_of), encoding="utf-8")
    params, run, events = job(CLASSES, model, data, tmp_path, epochs=3, max_seq_length=128)
    CLASSES.train(params, run)
    assert told(events, "valid_loss")[-1] < told(events, "valid_loss")[0]
    assert len(asked(run.output, batch_size=8)) == len(UNSEEN)


def test_a_validation_class_that_is_not_learned_ends_the_training(
    model: Path, data: Path, tmp_path: Path
) -> None:
    shutil.copy(data, tmp_path / "train.jsonl")
    valid = write_rows(tmp_path / "valid.jsonl", [{"text": "the dog", "label": "cat"}])
    data = tmp_path / "train.jsonl"
    params, run, _ = job(CLASSES, model, data, tmp_path, valid=valid)
    with pytest.raises(BadData, match="no training text is of: cat"):
        CLASSES.train(params, run)
