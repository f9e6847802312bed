"""Several processes that train together: what they learn is what one does, and all end together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import tiny_bert
from standins.together import ROOT, TWO, curve, together
from standins.waiting import until
from tiny_llm import chats, job, write_model, write_rows

from worker import checkpoints
from worker.contract import (
    Checkpoint,
    DataRef,
    EndReason,
    Event,
    Failed,
    JobSpec,
    Machine,
    Metric,
    ModelRef,
    Parallel,
    Stopped,
)
from worker.supervise.journal import read_events
from worker.tasks.llm import TASK

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are ended as on Linux"),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
]

SHARED = Parallel(processes=2, strategy="fsdp")
STEP = {"batch_size": 2, "gradient_accumulation": 4, "epochs": 2, "logging_steps": 1}
PAIRS = [
    {"prompt": f"say {i}:", "chosen": " the quick brown fox" * (1 + i % 3), "rejected": " a dog"}
    for i in range(29)
]
JUDGED = [
    {"prompt": pair["prompt"], "completion": pair[which], "label": which == "chosen"}
    for pair in PAIRS[:15]
    for which in ("chosen", "rejected")
]
TEXTS = [{"text": f"the quick brown fox {i} says hello " * (1 + i % 4)} for i in range(37)]
STILL: dict[str, Any] = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
UNEVEN = [{"text": f"the quick brown fox {i} says hello " * (1 + 7 * i % 9)} for i in range(37)]
ROWS = {"default": UNEVEN, "sft": chats(61), "kto": JUDGED[:29], "mlm": TEXTS}
"""None fills the last batch of an epoch, nor has a last batch for each process."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("several") / "tiny")


def spec(model: Path, data: Path, valid: Path | None, parallel: Parallel, **how: Any) -> JobSpec:
    """Return a job whose settings are those of `tiny_llm.job`."""
    params, _, _ = job(model, data, data.parent, **how)
    return JobSpec(
        job_id="k4x",
        project="several",
        task="llm",
        params=params.model_dump(mode="json"),
        model=ModelRef(name=str(model)),
        data=DataRef(
            folder=str(data.parent), train=(data.name,), valid=(valid.name,) if valid else ()
        ),
        machine=Machine(backend="local"),
        parallel=parallel,
    )


def alone(model: Path, data: Path, folder: Path, valid: Path | None, **how: Any) -> list[Event]:
    """Train in this very process; return what it told."""
    params, run, events = job(model, data, folder, valid=valid, **how)
    run.output.mkdir(parents=True)
    run.work.mkdir(parents=True)
    TASK.train(params, run)
    return events


def weights(folder: Path) -> dict[str, Any]:
    """Return what a training has left, of a model or of an adapter."""
    from safetensors.torch import load_file

    (file,) = folder.glob("*.safetensors")
    found: dict[str, Any] = load_file(file)
    return found


@pytest.mark.parametrize(
    ("parallel", "more"),
    [
        (TWO, {"trainer": "default"}),
        (SHARED, {"trainer": "sft"}),
        (SHARED, {"trainer": "sft", "peft": True, "lora_dropout": 0.0, "merge_adapter": True}),
        (SHARED, {"trainer": "reward", "peft": True, "lora_dropout": 0.0}),
        (TWO, {"trainer": "orpo"}),
        pytest.param(TWO, {"trainer": "dpo"}, marks=pytest.mark.campaign),
        (TWO, {"trainer": "kto", "peft": True, "lora_dropout": 0.0, "merge_adapter": True}),
        (TWO, {"trainer": "mlm", "packing": False}),
    ],
    ids=[
        *("default", "sft-fsdp", "sft-lora-fsdp", "reward-lora-fsdp"),
        *("orpo", "dpo", "kto-lora", "mlm"),
    ],
)
def test_two_processes_learn_what_one_does(
    model: Path, tmp_path: Path, parallel: Parallel, more: dict[str, Any]
) -> None:
    rows = ROWS.get(more["trainer"], PAIRS)
    if more["trainer"] == "mlm":
        model = tiny_bert.write_model(tmp_path / "bert", **STILL)
    data = write_rows(tmp_path / "data" / "train.jsonl", rows)
    valid = write_rows(tmp_path / "data" / "valid.jsonl", rows[:5])
    how = {**STEP, **more}
    one = alone(model, data, tmp_path / "one", valid, **how)
    two = together(spec(model, data, valid, parallel, **how), tmp_path / "two")
    for name, bound in (("loss", 1e-3), ("valid_loss", 1e-3), ("grad_norm", 1e-2)):
        expected = curve(one, name)
        assert expected
        assert curve(two, name) == pytest.approx(expected, abs=bound), name
    ours, theirs = (weights(tmp_path / which / "output") for which in ("two", "one"))
    assert ours.keys() == theirs.keys()
    off = {name: float((ours[name] - weight).abs().max()) for name, weight in theirs.items()}
    assert max(off.values()) < 1e-3, off


SAYS = """
def fox(completions, log_metric, **kwargs):
    log_metric("called", 1)
    return [min(1.0, said.count("o") / 3) for said in completions]

def best(completions, prompts, answer, trainer_state, **kwargs):
    asked = list(zip(prompts, answer))
    each = 4 if len(asked) > len(set(asked)) else 1
    assert all(asked.count(one) % each == 0 for one in asked), "all answers to a prompt are there"
    said = {one: [len(c) for c, a in zip(completions, asked) if a == one] for one in asked}
    return [float(len(c) == max(said[a])) for c, a in zip(completions, asked)]
"""


def test_answers_do_not_depend_on_how_a_step_is_divided(model: Path, tmp_path: Path) -> None:
    """Three prompts a step, one with nobody beside it; passes of four answers, or of three."""
    rows = [{"prompt": f"say {i}:", "answer": i} for i in range(12)]
    data = write_rows(tmp_path / "data" / "train.jsonl", rows[:7])
    valid = write_rows(tmp_path / "data" / "valid.jsonl", rows[7:])
    (tmp_path / "rewards.py").write_text(SAYS)
    how: dict[str, Any] = {
        **{"trainer": "grpo", "reward_funcs": str(tmp_path / "rewards.py"), "lr": 5e-3},
        **{"batch_size": 4, "gradient_accumulation": 3, "num_generations": 4, "logging_steps": 1},
        **{"num_iterations": 2, "epsilon": 0.01, "grpo_beta": 0.1, "max_completion_length": 8},
        **{"max_steps": 8, "eval_strategy": "steps", "save_strategy": "steps", "save_steps": 1},
        "save_total_limit": 9,
    }
    one = alone(model, data, tmp_path / "one", valid, **how)
    two = together(spec(model, data, valid, TWO, **how), tmp_path / "two")
    measures = {name for e in one if isinstance(e, Metric) for name in e.values}
    assert {"clip_ratio", "kl", "reward", "called", "valid_reward", "grad_norm"} <= measures
    for name in measures:
        expected = curve(one, name)
        assert curve(two, name) == pytest.approx(expected, abs=1e-3, rel=1e-2), name
    assert max(map(abs, curve(one, "loss").values())) > 1e-2
    ours, theirs = (weights(tmp_path / which / "output") for which in ("two", "one"))
    assert all(float((ours[name] - w).abs().max()) < 1e-3 for name, w in theirs.items())
    amid = together(spec(model, data, valid, TWO, **how), tmp_path / "amid", left_at(two, 3))
    params, run, between = job(model, data, tmp_path / "on", valid=valid, **how)
    TASK.train(params, replace(run, last_checkpoint=left_at(two, 4)))
    for events, first in ((amid, 4), (between, 5)):
        losses = curve(events, "loss")
        assert min(losses) == first
        assert losses == pytest.approx({at: curve(two, "loss")[at] for at in losses}, abs=1e-3)


def left_at(events: list[Event], step: int) -> Path:
    """Return the checkpoint that was told of a step."""
    return next(Path(e.where) for e in events if isinstance(e, Checkpoint) and e.step == step)


@pytest.mark.parametrize("peft", [False, True], ids=["all", "lora"])
def test_a_divided_model_goes_on_in_any_number_of_processes(
    model: Path, tmp_path: Path, peft: bool
) -> None:
    data = write_rows(tmp_path / "data" / "train.jsonl", chats(61))
    how: dict[str, Any] = {**STEP, "trainer": "sft", "peft": peft, "lora_dropout": 0.0}
    how |= {"save_strategy": "steps", "save_steps": 4, "save_total_limit": 9}
    whole = together(spec(model, data, None, SHARED, **how), tmp_path / "whole")
    left, losses = left_at(whole, 4), curve(whole, "loss")
    assert not checkpoints.lacking([path.name for path in left.iterdir()], TASK.checkpoint_files)
    shared = together(spec(model, data, None, SHARED, **how), tmp_path / "shared", left)
    params, run, one = job(model, data, tmp_path / "one", **how)
    run.output.mkdir(parents=True)
    TASK.train(params, replace(run, last_checkpoint=left))
    for events in (shared, one):
        told = curve(events, "loss")
        assert min(told) == 5
        assert told == pytest.approx({step: losses[step] for step in told}, abs=1e-4)


class Working:
    """A worker that trains in two processes, for as long as it is let."""

    def __init__(self, model: Path, folder: Path) -> None:
        data = write_rows(folder / "data" / "train.jsonl", chats(40))
        forever = spec(
            model,
            data,
            None,
            TWO,
            **{**STEP, "epochs": 100_000, "trainer": "sft", "save_strategy": "no"},
        )
        (folder / "job.json").write_text(forever.model_dump_json())
        self.work = folder / "work"
        environ = {
            "PYTHONPATH": str(ROOT),
            "HUBTRAIN_JOB_FILE": str(folder / "job.json"),
            "HUBTRAIN_WORK": str(self.work),
        }
        with (folder / "log.txt").open("w") as log:
            self.process = psutil.Popen(
                [sys.executable, "-P", "-m", "worker"],
                env=os.environ | environ,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
            )
        until(lambda: any(isinstance(e, Metric) for e in self.events), 90)
        self.family: list[psutil.Process] = self.process.children(recursive=True)

    @property
    def events(self) -> list[Event]:
        return list(read_events(self.work / "events.jsonl"))

    @property
    def second(self) -> psutil.Process:
        """The process that tells nothing."""
        return next(p for p in self.family if p.environ().get("RANK") == "1")

    def ended(self) -> Event:
        """Wait for the end, and return the ending."""
        self.process.wait(60)
        _, left = psutil.wait_procs(self.family, timeout=60)
        assert not left, "nothing is left running"
        return self.events[-1]


@pytest.fixture
def working(model: Path, tmp_path: Path) -> Iterator[Working]:
    worker = Working(model, tmp_path)
    yield worker
    for process in [*worker.family, worker.process]:
        if process.is_running():
            process.kill()


def test_one_that_is_killed_ends_the_others_and_is_told_as_what_it_was(working: Working) -> None:
    working.second.kill()
    ending = working.ended()
    assert isinstance(ending, Failed)
    assert ending.reason is EndReason.WORKER_DIED
    assert "was killed from outside (SIGKILL)" in ending.message
    assert sum(isinstance(e, Failed) for e in working.events) == 1


def test_all_stop_after_the_same_step_and_leave_a_checkpoint(working: Working) -> None:
    working.process.send_signal(signal.SIGTERM)
    assert isinstance(working.ended(), Stopped)
    (kept,) = [e for e in working.events if isinstance(e, Checkpoint)]
    states = [path.name for path in Path(kept.where).glob("rng_state_*")]
    assert sorted(states) == ["rng_state_0.pth", "rng_state_1.pth"], "each left its own"
    assert json.loads((Path(kept.where) / "trainer_state.json").read_text())["global_step"] > 0
