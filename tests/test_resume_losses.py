"""A training that was interrupted and gone on with measures what one measures that was not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_llm
from tiny_llm import write_rows

from worker import checkpoints
from worker.contract import Checkpoint, Event, Metric, Phase, Progress
from worker.tasks.llm import TASK

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::FutureWarning")]

SAME = 1e-4
"""How far a loss may be from that of the training that was not interrupted."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llm.write_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def chats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("chats") / "chats.jsonl", tiny_llm.chats(20))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        {"prompt": f"say {i}", "chosen": "the quick " * (1 + i % 4), "rejected": "dog " * (i % 5)}
        for i in range(14)
    ]
    return write_rows(tmp_path_factory.mktemp("pairs") / "pairs.jsonl", rows)


def told(events: list[Event], name: str = "loss") -> dict[int, float]:
    return {e.step: e.values[name] for e in events if isinstance(e, Metric) and name in e.values}


def interrupted(
    model: Path, data: Path, folder: Path, at: int, **settings: Any
) -> tuple[list[Event], list[Event], Path]:
    """Train until the step `at`, then go on elsewhere; returns what each half told."""
    params, run, first = tiny_llm.job(model, data, folder / "first", **settings)
    emit = stopping(run.emit, run.stop.set, at)
    TASK.train(params, replace(run, emit=emit))
    (left,) = [e for e in first if isinstance(e, Checkpoint)]
    assert not [e for e in first if isinstance(e, Phase) and e.name == "saved"]
    params, run, second = tiny_llm.job(model, data, folder / "second", **settings)
    TASK.train(params, replace(run, last_checkpoint=Path(left.where)))
    return first, second, Path(left.where)


def stopping(emit: Callable[[Event], None], stop: Callable[[], None], at: int) -> Any:
    """Return what passes events on, and asks to stop once the loss of a step is told."""

    def told(event: Event) -> None:
        emit(event)
        if isinstance(event, Metric) and event.step >= at:
            stop()

    return told


@pytest.mark.parametrize(
    "settings",
    [
        {"trainer": "sft", "packing": True, "batch_size": 2},
        {"trainer": "sft", "peft": True, "lora_dropout": 0.2, "scheduler": "cosine"},
        {"trainer": "dpo", "packing": False, "peft": True},
    ],
)
def test_losses_within_an_epoch_and_between_passes_are_those_of_one_training(
    model: Path, chats: Path, pairs: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    data = pairs if settings["trainer"] == "dpo" else chats
    how: dict[str, Any] = {"gradient_accumulation": 3, "epochs": 2, "logging_steps": 1}
    how |= {"save_strategy": "no", **settings}
    params, run, whole = tiny_llm.job(model, data, tmp_path / "whole", **how)
    TASK.train(params, run)
    steps = len(told(whole))
    first, second, left = interrupted(model, data, tmp_path, steps // 2 + 1, **how)
    done = max(told(first))
    assert 0 < done < steps and done % (steps // 2), "not at the end of an epoch"
    assert not checkpoints.lacking([p.name for p in left.iterdir()], TASK.checkpoint_files)
    both = told(first) | told(second)
    assert min(told(second)) == done + 1 and len(both) == steps
    assert both == pytest.approx(told(whole), rel=SAME)
    seen = [[e.units for e in events if isinstance(e, Progress)][-1] for events in (whole, second)]
    assert seen[0] == seen[1], "each row once, and none left out"


def test_a_loss_that_was_not_yet_told_is_told_before_it_ends(
    model: Path, chats: Path, tmp_path: Path
) -> None:
    """Losses are means since the last report: those before the interruption are not forgotten."""
    how: dict[str, Any] = {"trainer": "sft", "logging_steps": 5, "max_steps": 10}
    params, run, events = tiny_llm.job(model, chats, tmp_path, **how)
    run.stop.set()
    TASK.train(params, run)
    assert list(told(events)) == [1]


def test_another_rate_holds_from_the_checkpoint_on(
    model: Path, chats: Path, tmp_path: Path
) -> None:
    how: dict[str, Any] = {"trainer": "sft", "logging_steps": 1, "max_steps": 10, "lr": 1e-3}
    how |= {"warmup_ratio": 0.0, "peft": True, "loraplus_lr_ratio": 4.0}
    _, second, left = interrupted(model, chats, tmp_path, 4, **how)
    params, run, faster = tiny_llm.job(model, chats, tmp_path / "faster", **{**how, "lr": 3e-3})
    TASK.train(params, replace(run, last_checkpoint=left))
    assert list(told(faster, "lr")) == list(told(second, "lr"))
    for step, rate in told(second, "lr").items():
        assert told(faster, "lr")[step] == pytest.approx(3 * rate, rel=1e-6)
    assert told(faster)[10] != told(second)[10]


def test_a_checkpoint_is_written_when_the_last_is_old_enough(
    model: Path, chats: Path, tmp_path: Path
) -> None:
    how: dict[str, Any] = {"trainer": "sft", "max_steps": 3, "save_minutes": 1e-6}
    params, run, events = tiny_llm.job(model, chats, tmp_path, **how)
    TASK.train(params, run)
    assert [e.step for e in events if isinstance(e, Checkpoint)] == [1, 2, 3]
    params, run, events = tiny_llm.job(model, chats, tmp_path / "no", **how, save_strategy="no")
    TASK.train(params, run)
    assert not [e for e in events if isinstance(e, Checkpoint)]
