"""A training that was interrupted and gone on with measures what one measures that was not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tiny_bert
import tiny_detector
import tiny_llm
import tiny_reader
import tiny_sentences
import tiny_t5
import tiny_vit
from standins import lives
from tiny_llm import write_rows

from worker import checkpoints
from worker.contract import Checkpoint, DataRef, Event, Metric, Phase, Progress
from worker.supervise.journal import read_events
from worker.task import Run
from worker.tasks import load as task_of
from worker.tasks.image_classification import TASK as IMAGES
from worker.tasks.llm import TASK
from worker.tasks.pretraining.params import PretrainingParams

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::FutureWarning")]

TESTS = Path(__file__).parent
SAME = 1e-4
"""How far a loss may be from that of the training that was not interrupted."""

ONLY_LOSSES: dict[str, Any] = {"logging_steps": 1, "save_strategy": "no", "eval_strategy": "no"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llm.write_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def chats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("chats") / "chats.jsonl", tiny_llm.chats(20))


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert.write_model(tmp_path_factory.mktemp("bert"))


def told(events: list[Event], name: str = "loss") -> dict[int, float]:
    return {e.step: e.values[name] for e in events if isinstance(e, Metric) and name in e.values}


Made = tuple[Any, Run, list[Event]]


@dataclass(frozen=True)
class Training:
    """What trains, and its settings and run in a folder."""

    train: Callable[[Any, Run], None]
    made: Callable[[Path], Made]

    def whole(self, folder: Path) -> list[Event]:
        """Train without an interruption, and return what was told."""
        params, run, events = self.made(folder)
        self.train(params, run)
        return events

    def interrupted(self, folder: Path, at: int) -> tuple[list[Event], list[Event], Path]:
        """Train until the step `at`, then go on elsewhere; returns what each half told."""
        params, run, first = self.made(folder / "first")
        self.train(params, replace(run, emit=stopping(run.emit, run.stop.set, at)))
        (left,) = [e for e in first if isinstance(e, Checkpoint)]
        assert not [e for e in first if isinstance(e, Phase) and e.name == "saved"]
        params, run, second = self.made(folder / "second")
        self.train(params, replace(run, last_checkpoint=Path(left.where)))
        return first, second, Path(left.where)


def stopping(emit: Callable[[Event], None], stop: Callable[[], None], at: int) -> Any:
    """Return what passes events on, and asks to stop once the loss of a step is told."""

    def told(event: Event) -> None:
        emit(event)
        if isinstance(event, Metric) and event.step >= at:
            stop()

    return told


def language(model: Path, data: Path, **settings: Any) -> Training:
    """Return a training of a language model."""
    return Training(TASK.train, lambda folder: tiny_llm.job(model, data, folder, **settings))


PAIRS = [
    {"prompt": f"say {i}", "chosen": "the quick " * (1 + i % 4), "rejected": "dog " * (i % 5)}
    for i in range(14)
]
JUDGED = [
    {"prompt": f"say {i}", "completion": "the quick " * (1 + i % 4), "label": i % 3 > 0}
    for i in range(16)
]
COMPARED = [
    {"text": "the fox " * (1 + i % 3), "rejected_text": "a dog " * (1 + i % 4)} for i in range(14)
]
TEXTS = [{"text": f"the lazy fox says hello to dog {i} and jumps"} for i in range(24)]
FOX = "def fox(completions, **kwargs):\n    return [said.count('o') / 3 for said in completions]\n"

ROWS: dict[str, list[dict[str, Any]]] = {
    **{"sft": tiny_llm.chats(20), "dpo": PAIRS, "orpo": PAIRS, "kto": JUDGED},
    **{"reward": COMPARED, "mlm": TEXTS, "grpo": [{"prompt": f"say {i}:"} for i in range(3)]},
}
GROUPS: dict[str, Any] = {"batch_size": 8, "max_completion_length": 8, "gradient_accumulation": 1}


@pytest.mark.parametrize(
    "settings",
    [
        {"trainer": "sft", "packing": True, "batch_size": 2},
        {"trainer": "sft", "peft": True, "lora_dropout": 0.2, "scheduler": "cosine"},
        {"trainer": "dpo", "packing": False, "peft": True},
        {"trainer": "orpo"},
        {"trainer": "kto", "batch_size": 2},
        {"trainer": "reward", "peft": True},
        {"trainer": "mlm", "batch_size": 2, "packing": False},
        {"trainer": "grpo", **GROUPS},
        {"trainer": "grpo", **GROUPS, "num_iterations": 2, "peft": True},
    ],
    ids=lambda settings: "-".join(map(str, settings.values())),
)
def test_losses_within_an_epoch_and_between_passes_are_those_of_one_training(
    model: Path, bert: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    kind = settings["trainer"]
    data = write_rows(tmp_path / "rows.jsonl", ROWS[kind])
    how: dict[str, Any] = {"gradient_accumulation": 3, "epochs": 2, "logging_steps": 1}
    how |= {"save_strategy": "no", **settings}
    if kind == "grpo":
        (tmp_path / "fox.py").write_text(FOX)
        how["reward_funcs"] = str(tmp_path / "fox.py")
    training = language(bert if kind == "mlm" else model, data, **how)
    _goes_on(training, tmp_path, later=how.get("num_iterations", 1))


SHAPE = {
    **{"model_type": "llama", "hidden_size": 32, "intermediate_size": 64},
    **{"num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 64},
}
"""A model that is pretrained in a moment."""


def test_a_pretraining_goes_on_in_the_middle_of_its_stream(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "texts.jsonl", TEXTS)
    params = PretrainingParams(
        **{"mode": "pretraining", "optimizer": "galore", "optim_rank": 8, "data_path": str(data)},
        **{"model": "llama_60m", "max_length": 32, "lr": 5e-3, "tmax": 2, "update_proj_gap": 2},
        **{"batch_size": 1, "gradient_accumulation": 2, "epochs": 2, "logging_steps": 1},
        save_strategy="no",
    )

    def made(folder: Path) -> Made:
        events: list[Event] = []
        ref = DataRef(folder=str(data.parent), train=(data.name,))
        run = Run(None, ref, folder / "output", folder / "work", events.append)
        return params, run, events

    def train(params: Any, run: Run) -> None:
        from worker.tasks.pretraining.training.train import pretrain

        pretrain(params, run, {"vocab_size": 300, **SHAPE})

    _goes_on(Training(train, made), tmp_path)


def test_pictures_are_changed_by_the_chance_that_they_would_have_met(tmp_path: Path) -> None:
    model = tiny_vit.write_model(tmp_path / "vit", hidden_dropout_prob=0.1)
    data = tiny_vit.write_table(tmp_path / "pictures.parquet", 8)
    how: dict[str, Any] = {"batch_size": 2, "gradient_accumulation": 2, "epochs": 2}
    made = partial(tiny_vit.job, model, data, **how, **ONLY_LOSSES)
    _goes_on(Training(IMAGES.train, made), tmp_path)


def test_a_model_that_writes_goes_on_with_the_texts_that_come_next(tmp_path: Path) -> None:
    model = tiny_t5.write_model(tmp_path / "t5", dropout_rate=0.1)
    data = write_rows(tmp_path / "rows.jsonl", tiny_t5.rows(44))
    how: dict[str, Any] = {"batch_size": 4, "gradient_accumulation": 3, "epochs": 2}
    made = partial(tiny_t5.job, model, data, **how, **ONLY_LOSSES)
    _goes_on(Training(task_of("seq2seq").train, made), tmp_path)


@pytest.mark.parametrize("trainer", ["pair", "pair_class"])
def test_sentences_go_on_with_the_batches_that_come_next(
    bert: Path, tmp_path: Path, trainer: str
) -> None:
    how: dict[str, Any] = {"gradient_accumulation": 4, "epochs": 2, **ONLY_LOSSES}
    made = partial(tiny_sentences.job, bert, trainer=trainer, **how)
    _goes_on(Training(task_of("sentence_transformers").train, made), tmp_path)


def test_answers_are_looked_for_in_the_windows_that_come_next(tmp_path: Path) -> None:
    task = task_of("extractive_qa")
    model = tiny_reader.write_model(tmp_path / "bert", hidden_dropout_prob=0.1)
    rows = write_rows(tmp_path / "rows.jsonl", tiny_reader.questions(16, unanswerable=True))
    how: dict[str, Any] = {"batch_size": 4, "gradient_accumulation": 2, "epochs": 2}
    how |= {"max_seq_length": 20, "max_doc_stride": 6, **ONLY_LOSSES}
    made = partial(tiny_reader.job, task, model, rows, **how)
    _goes_on(Training(task.train, made), tmp_path)


def test_objects_are_found_on_the_crops_that_would_have_been_drawn(tmp_path: Path) -> None:
    model = tiny_detector.write_detr(tmp_path / "detr", dropout=0.1)
    data = tiny_detector.write_table(tmp_path / "squares.parquet", 24)
    how: dict[str, Any] = {"batch_size": 2, "gradient_accumulation": 2, "epochs": 2}
    made = partial(tiny_detector.job, model, data, **how, **ONLY_LOSSES)
    _goes_on(Training(task_of("object_detection").train, made), tmp_path)


def _goes_on(training: Training, folder: Path, later: int = 1) -> None:
    """What is trained in two parts measures what is measured without an interruption.

    That comes a step `later` than the middle, or several.
    """
    whole = training.whole(folder / "whole")
    steps = len(told(whole))
    first, second, left = training.interrupted(folder, steps // 2 + later)
    done = max(told(first))
    assert 0 < done < steps and done % (steps // 2), "not at the end of an epoch"
    assert not checkpoints.lacking([p.name for p in left.iterdir()], TASK.checkpoint_files)
    both = told(first) | told(second)
    assert min(told(second)) == done + 1 and len(both) == steps
    assert both == pytest.approx(told(whole), rel=SAME)
    seen = [[e.units for e in events if isinstance(e, Progress)][-1] for events in (whole, second)]
    assert seen[0] == seen[1], "each row once, and none left out"


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(n, marks=pytest.mark.campaign) for n in range(2, 30))]
)
def test_killed_at_random_moments_it_measures_what_it_would_have(
    model: Path, chats: Path, tmp_path: Path, seed: int
) -> None:
    whole = language(model, chats, **lives.SETTINGS).whole(tmp_path / "whole")
    (tmp_path / "lives").mkdir()
    places = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    words = [str(TESTS / "standins" / "lives.py"), str(model), str(chats), str(tmp_path / "lives")]
    ran = subprocess.run(
        [sys.executable, "-P", *words, str(seed)],
        env={**os.environ, "PYTHONPATH": places},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    kills = int(ran.stdout.splitlines()[-1])
    measured: dict[int, float] = {}
    for number in range(kills + 1):
        measured |= told(list(read_events(tmp_path / "lives" / f"{number}.jsonl")))
    assert kills and measured == pytest.approx(told(whole), rel=SAME)


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
    _, second, left = language(model, chats, **how).interrupted(tmp_path, 4)
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
