"""Training of models that find answers: judged by hand, by SQuAD's rules and stock transformers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_reader import job, questions, tokenizer, train, write_model

from worker.contract import Event, Metric
from worker.evaluation_plots import JUDGED_FILE
from worker.families.training.answers import LONGEST_ANSWER, answered, best_span, plain
from worker.tasks.extractive_qa import TASK

pytestmark = pytest.mark.slow

HOW: dict[str, Any] = {"max_seq_length": 20, "max_doc_stride": 6}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def trained(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    rows, valid = (questions(n, n, unanswerable=True) for n in (300, 40))
    return train(TASK, model, rows, tmp_path_factory.mktemp("job"), valid, **HOW)


def told(events: Sequence[Event], name: str) -> list[float]:
    return [e.values[name] for e in events if isinstance(e, Metric) and name in e.values]


def test_the_number_behind_a_word_is_learned_and_that_there_is_none(
    trained: tuple[Path, list[Event]],
) -> None:
    output, events = trained
    assert (output / JUDGED_FILE).is_file()
    for name in ("exact_match", "f1", "HasAns_exact", "NoAns_f1"):
        assert told(events, f"valid_{name}")[-1] > 90, name


def test_answers_have_their_place_in_contexts_of_any_length(
    trained: tuple[Path, list[Event]],
) -> None:
    context = "the size is 77 , the cost is 34 , " * 12 + "the age is 451 , the rank is 20"
    asked = TASK.question(context=context, question="what is the age ?")
    found = TASK.answer(str(trained[0]), asked)
    assert found["answer"] == "451" and context[found["start"] : found["end"]] == "451"
    assert 0.5 < found["score"] <= 1
    asked = asked.model_copy(update={"context": "the size is 77 , the cost is 34"})
    assert TASK.answer(str(trained[0]), asked)["answer"] == ""


def test_the_snippet_of_the_card_runs_as_it_stands(
    trained: tuple[Path, list[Event]], capsys: pytest.CaptureFixture[str]
) -> None:
    code = TASK.loading(TASK.params(data_path="x"), str(trained[0]), adapter=False)
    exec("\n".join(code.splitlines()[1:-1]), {})
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_losses_are_those_of_transformers_own_trainer(
    model: Path, tmp_path: Path, seed: int
) -> None:
    head = _with_head(model, tmp_path / "head", seed)
    rows = questions(24, seed, unanswerable=True)
    how: dict[str, Any] = {
        "group_by_length": False,
        "logging_steps": 1,
        "seed": seed,
        "warmup_ratio": 0.0,
        **HOW,
    }
    params, run, events = job(TASK, head, rows, tmp_path / "ours", **how)
    TASK.train(params, run)
    losses = _by_transformers(head, rows, tmp_path / "theirs", seed)
    assert len(losses) > 5
    assert told(events, "loss")[0] == pytest.approx(losses[0], abs=1e-5)
    assert told(events, "loss") == pytest.approx(losses, abs=1e-4)


def _with_head(model: Path, folder: Path, seed: int) -> Path:
    import torch
    from transformers import AutoModelForQuestionAnswering

    torch.manual_seed(seed)
    AutoModelForQuestionAnswering.from_pretrained(model).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def _by_transformers(model: Path, rows: list[Any], folder: Path, seed: int) -> list[float]:
    """Return the losses of the stock class, whose windows are labelled token by token."""
    from transformers import (
        AutoModelForQuestionAnswering,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    reads, windows = AutoTokenizer.from_pretrained(model), []
    for row in rows:
        told = reads(
            row["question"],
            row["context"],
            **{"truncation": "only_second", "max_length": 20, "stride": 6},
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        for i, ids in enumerate(told["input_ids"]):
            kept = {name: told[name][i] for name in ("token_type_ids", "attention_mask")}
            start, end = _labels(row, told["offset_mapping"][i], told.sequence_ids(i))
            kept |= {"input_ids": ids, "start_positions": start, "end_positions": end}
            windows.append(kept)
    trainer = Trainer(
        model=AutoModelForQuestionAnswering.from_pretrained(model),
        args=TrainingArguments(
            str(folder),
            **{"per_device_train_batch_size": 8, "num_train_epochs": 1, "learning_rate": 1e-3},
            **{"logging_steps": 1, "seed": seed, "use_cpu": True, "save_strategy": "no"},
            **{"report_to": [], "disable_tqdm": True},
        ),
        train_dataset=windows,
        data_collator=DataCollatorWithPadding(reads),
    )
    trainer.train()
    return [log["loss"] for log in trainer.state.log_history if "loss" in log]


def _labels(row: Any, offsets: Any, parts: Any) -> tuple[int, int]:
    if not row["answers"]["text"]:
        return 0, 0
    (text,), (start,) = row["answers"]["text"], row["answers"]["answer_start"]
    places = range(start, start + len(text))
    inside = [
        i
        for i, (part, (a, b)) in enumerate(zip(parts, offsets, strict=True))
        if part == 1 and any(a <= place < b for place in places)
    ]
    whole = sum(offsets[i][1] - offsets[i][0] for i in inside) >= len(text)
    return (inside[0], inside[-1]) if whole else (0, 0)


def test_the_best_span_is_the_best_of_all() -> None:
    chance = np.random.default_rng(1)
    for length in (1, 5, 80):
        starts, ends = chance.normal(size=(2, length))
        score, first, last = best_span(starts, ends)
        spans = [(i, j) for i in range(length) for j in range(i, min(length, i + LONGEST_ANSWER))]
        assert (first, last) == max(spans, key=lambda span: starts[span[0]] + ends[span[1]])
        assert score == pytest.approx(starts[first] + ends[last])
    assert best_span(np.array([]), np.array([])) == (-np.inf, 0, 0)


def test_exact_match_and_f1_are_squads() -> None:
    truth = [["the Cat!", "a dog"], ["in New York"], [], []]
    found = answered(["Cat", "New York City", "", "something"], truth)
    assert found["HasAns_exact"] == 50 and found["HasAns_f1"] == pytest.approx(
        100 * (1 + 2 / 3) / 2
    )
    assert found["NoAns_exact"] == found["NoAns_f1"] == 50
    assert found["exact_match"] == 50
    assert answered(["Cat"], [["the cat"]]) == {"exact_match": 100, "f1": 100}


def test_f1_is_that_of_another_implementation() -> None:
    from lm_eval.tasks.infinitebench.utils import _normalize_en, _token_f1

    chance = random.Random(1)
    words = ["the", "Cat", "dog!", "an", "New-York", "is", "U.S.", "a"]
    for _ in range(300):
        one, other = (" ".join(chance.choices(words, k=chance.randint(1, 5))) for _ in range(2))
        assert plain(one) == _normalize_en(one)
        if plain(one) and plain(other):
            theirs = _token_f1(one, other)
            assert answered([one], [[other]])["f1"] == pytest.approx(100 * theirs)
