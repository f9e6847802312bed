"""`hubtrain resume`: what can be gone on with, with which changes, and a whole way round."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standins.laptop import Laptop, send, trainer_of
from standins.localhub import HubServer
from standins.waiting import until
from test_supervise import spec
from tiny_llm import chats, write_model, write_rows

from orchestrator.jobs.client import Client
from orchestrator.jobs.records import Record, Records
from orchestrator.jobs.resumable import checkpoint_of
from orchestrator.jobs.resumed import job_to_resume
from orchestrator.resuming import refuse_other_training, resumed, settings_of_job
from orchestrator.settings.layers import FLAGS
from worker import checkpoints, tasks
from worker.contract import (
    Checkpoint,
    DataRef,
    EndReason,
    Event,
    Failed,
    Finished,
    JobSpec,
    Limits,
    Machine,
    Metric,
    ModelRef,
    Progress,
    PushTarget,
    Start,
    Started,
    Stopped,
    fold,
)
from worker.errors import BadConfig
from worker.task import Run

COMMIT = "c" * 40
ON_HUB = Checkpoint(step=20, where=f"ann/bot@{COMMIT}")
HERE = Checkpoint(step=30, where="/runs/k4x/work/checkpoints/checkpoint-30")
ENDED = Failed(reason=EndReason.OOM, message="")
LLM = tasks.load("llm")


def job(**changes: Any) -> JobSpec:
    """Return a job as it is made, with all settings of its task."""
    params = LLM.params(
        model="ann/tiny", data_path="chats.jsonl", trainer="sft", peft=True, lora_r=8
    )
    about: dict[str, Any] = {
        "params": params.model_dump(mode="json"),
        "owner": "ann",
        "push": PushTarget(repo_id="ann/bot", private=False),
        "machine": Machine(backend="spaces", flavor="a10g-small", accelerators=1, usd_per_hour=1.0),
        "limits": Limits(max_seconds=5400, max_usd=2.5),
    }
    return spec(**{**about, **changes})


def record(*events: Event, **changes: Any) -> Record:
    return Record(job(**changes), events)


@pytest.mark.parametrize(
    ("events", "backend", "where"),
    [
        ([ON_HUB, ENDED], "spaces", ON_HUB.where),
        ([ON_HUB, HERE, ENDED], "spaces", ON_HUB.where),
        ([ON_HUB, HERE, ENDED], "local", HERE.where),
        ([HERE, ENDED], "spaces", None),
        ([ON_HUB, Finished()], "spaces", None),
        ([ON_HUB], "spaces", None),
    ],
)
def test_the_last_checkpoint_that_outlives_its_machine(
    events: list[Event], backend: str, where: str | None
) -> None:
    last = checkpoint_of(record(*events, machine=Machine(backend=backend)))
    assert (last.where if last else None) == where


def test_a_job_of_a_job_names_both() -> None:
    begun = Start(jobs=("first",), step=5, repo_id="ann/bot", revision=COMMIT)
    found = resumed(record(Progress(step=21, total_steps=90), ON_HUB, ENDED, start=begun))
    assert found.start == Start(jobs=("first", "k4x"), step=20, repo_id="ann/bot", revision=COMMIT)
    assert found.total_steps == 90


@pytest.mark.parametrize(
    ("events", "words", "fix"),
    [
        ([Started(job_id="k4x")], "has not ended", "hubtrain cancel k4x"),
        ([Finished()], "has succeeded", "--train --model"),
        ([ENDED], "left no checkpoint", "begins at the first step"),
    ],
)
def test_what_cannot_be_gone_on_with_is_said(events: list[Event], words: str, fix: str) -> None:
    with pytest.raises(BadConfig, match=words) as refused:
        resumed(record(*events))
    assert fix in refused.value.fix


@pytest.mark.parametrize(
    ("events", "words", "fix"),
    [
        ([Finished(output="/home/ann/out")], "its output is /home/ann/out", "with --overwrite"),
        ([Finished()], "s1 has succeeded\\.", "To run it once more"),
        ([ENDED], "s1 ran a script, and hubtrain knows none of its steps", "it begins anew"),
    ],
)
def test_a_script_is_told_of_as_one(events: list[Event], words: str, fix: str) -> None:
    script = spec(job_id="s1", task="spacerunner", params={"script_path": "run.py"}, model=None)
    with pytest.raises(BadConfig, match=words) as refused:
        resumed(Record(script, tuple(events)))
    assert fix in refused.value.fix and "model" not in str(refused.value)


def test_a_jobs_settings_are_those_it_was_made_with() -> None:
    spec = job()
    settings = settings_of_job(spec, {"epochs": 3, "backend": "local"}, FLAGS)
    params = settings.of(LLM.params)
    assert params.model_dump(mode="json") == {**spec.params, "epochs": 3}
    assert "lora_dropout" not in params.model_fields_set
    assert settings.values["max_duration"] == "5400s"
    assert {k: settings.values[k] for k in ("repo_id", "private", "max_cost", "backend")} == {
        **{"repo_id": "ann/bot", "private": False, "max_cost": 2.5},
        "backend": "local",
    }
    assert settings.origins["lora_r"] == "job k4x" and settings.origins["epochs"] == FLAGS


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": 4, "lr": 1e-5, "scheduler": "cosine", "save_minutes": 3, "log": "tensorboard"},
        {"batch_size": 1, "gradient_accumulation": 8},
        {"eval_strategy": "no", "keep_checkpoints": True, "merge_adapter": True, "samples": 0},
    ],
)
def test_what_may_change(changes: dict[str, Any]) -> None:
    spec = job()
    params = settings_of_job(spec, changes, FLAGS).of(LLM.params)
    refuse_other_training(spec, params, LLM)


def test_what_may_not_change_is_named_all_at_once() -> None:
    spec = job()
    other = {"lora_r": 16, "optimizer": "sgd", "batch_size": 4, "model": "ann/other", "seed": 1}
    params = settings_of_job(spec, other, FLAGS).of(LLM.params)
    with pytest.raises(BadConfig) as refused:
        refuse_other_training(spec, params, LLM)
    lines = refused.value.message.splitlines()
    assert len(lines) == 5
    assert "--lora-r cannot change while a training goes on: it was 8." in lines
    assert any("a step had 8 rows and would have 16" in line for line in lines)


def test_a_job_that_left_none_of_its_own_goes_on_from_where_it_began() -> None:
    begun = Start(jobs=("first",), step=5, repo_id="ann/bot", revision=COMMIT)
    found = resumed(record(ENDED, start=begun))
    assert found.start == Start(jobs=("first", "k4x"), step=5, repo_id="ann/bot", revision=COMMIT)


def test_what_was_lost_with_a_machine_is_told_once() -> None:
    """The events of a Space that was started again: it went on from its checkpoint of step 2."""
    lives: list[Event] = [
        *(Metric(step=n, values={"loss": 9.0 - n}) for n in (1, 2, 3)),
        Progress(step=3, total_steps=9),
        Progress(step=2, total_steps=9),
        Metric(step=3, values={"loss": 5.9}),
    ]
    assert [m.values["loss"] for m in fold(lives).history] == [8.0, 7.0, 5.9]


def test_an_end_by_its_own_limit_is_resumable_until_it_is_done() -> None:
    stopped = Stopped(reason=EndReason.DEADLINE, at=datetime.now(UTC))
    assert checkpoint_of(record(Started(job_id="k4x"), ON_HUB, stopped)) == ON_HUB


def test_a_repo_that_was_renamed_is_followed(
    tmp_path: Path, shared_hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the old name while that leads to it, and by the new one when somebody has taken that."""
    monkeypatch.setenv("HF_ENDPOINT", shared_hub.endpoint)
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path))
    api, made = shared_hub.api(), job(job_id="ren4md", push=PushTarget(repo_id="ann/old-name"))
    api.create_repo("ann/old-name")
    api.create_branch("ann/old-name", branch=made.branch)
    (tmp_path / "checkpoint-20").mkdir()
    for name in LLM.checkpoint_files:
        (tmp_path / "checkpoint-20" / name.replace("*", "x")).write_text("{}")
    folder = str(tmp_path / "checkpoint-20")
    api.upload_folder(
        repo_id="ann/old-name",
        folder_path=folder,
        path_in_repo="checkpoints/checkpoint-20",
        revision=made.branch,
    )
    client = Client(given_token=shared_hub.tokens["ann"])
    client.records.claim(made.job_id, lambda: made, datetime.now(UTC))
    told = Checkpoint(step=20, where=f"ann/old-name@{COMMIT}", seq=1)
    client.records.add(made.job_id, [told, Failed(reason=EndReason.OOM, message="", seq=2)])
    api.move_repo("ann/old-name", "ann/new-name")
    for name in ("ren4md", "ann/new-name"):
        found = job_to_resume(client, name)
        assert found.spec.push == PushTarget(repo_id="ann/new-name")
        begun = resumed(found).start
        assert begun is not None and (begun.repo_id, begun.step) == ("ann/new-name", 20)
        api.create_repo("ann/old-name", exist_ok=True)


@pytest.fixture
def laptop(hub_server: Any, tmp_path: Path) -> Laptop:
    """A laptop with data, on a Hub of its own that has the base model."""
    hub = hub_server()
    hub.api().create_repo("ann/tiny")
    hub.api().upload_folder(
        repo_id="ann/tiny", folder_path=write_model(tmp_path / "tiny"), ignore_patterns="*.md"
    )
    write_rows(tmp_path / "chats.jsonl", chats(40))
    return Laptop(tmp_path / "home", hub)


def pushed_step(laptop: Laptop, name: str) -> int | None:
    """Return the step of the last checkpoint of a job that is on the Hub, if one is."""
    branch = f"hubtrain-{name}"
    found = checkpoints.found("ann/bot", branch, laptop.hub.tokens["ann"])
    return found[0].step if found else None


TRAINING = (
    *("llm", "--train", "--trainer", "sft", "--peft", "--model", "ann/tiny", "--samples", "0"),
    *("--data-path", "chats.jsonl", "--project-name", "bot", "--push-to-hub", "--no-packing"),
    *("--lora-dropout", "0.1", "--batch-size", "2", "--model-max-length", "64"),
    *("--gradient-accumulation", "24", "--epochs", "100000", "--scheduler", "constant"),
    *("--warmup-ratio", "0", "--logging-steps", "1", "--json"),
)
"""Steps of some tenths of a second, whose rates do not hang on how many there will be."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_from_a_space_that_the_hub_restarts_to_another_computer(
    laptop: Laptop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", laptop.hub.endpoint)
    said = laptop.run(*TRAINING, "--backend", "spaces-cpu", "--detach")
    assert said.code == 0, said.out + said.err
    name = said.document["job"]
    until(lambda: step_of(laptop, name), 240, every=0.5)
    before = trainer_of(name)
    (space,) = laptop.hub.api().list_spaces(author="ann")
    laptop.hub.api().restart_space(space.id)
    until(lambda: (trainer_of(name) or before) != before, 240, every=0.5)
    first = pushed_step(laptop, name)
    assert first, "it was told to end, and had the time to send what it had"
    until(lambda: (step_of(laptop, name) or 0) > first, 240, every=0.5)
    assert laptop.run("status", name, "--json").document["state"] == "running"
    send(trainer_of(name) or 0, signal.SIGKILL)
    ended = until(lambda: ended_job(laptop, name), 240, every=0.5)
    assert ended["resumable"]["step"] >= first
    assert "goes on from step" in laptop.run("logs", name).out
    other = Laptop(tmp_path / "other" / "home", laptop.hub)
    other.home.parent.mkdir()
    steps = ended["resumable"]["step"] + 4
    words = ("resume", "ann/bot", "--backend", "local", "--max-steps", str(steps), "--json")
    said = other.run(*words)
    assert said.code == 0, said.out + said.err
    done = said.document
    assert (done["state"], done["step"], done["resumes"]) == ("succeeded", steps, [name])
    assert curve(other, done["job"]) == pytest.approx(uninterrupted(laptop, steps), rel=1e-4)
    assert pushed_step(laptop, name) is None


def uninterrupted(laptop: Laptop, steps: int) -> dict[int, float]:
    """Return the losses of the same training in one piece."""
    here = laptop.home.parent
    (made,) = [known for known in Records(laptop.home).all() if known.spec.start is None]
    how = {"model": str(here / "tiny"), "max_steps": steps}
    params = LLM.params.model_validate({**made.spec.params, **how})
    events: list[Event] = []
    run = Run(
        model=ModelRef(name=str(here / "tiny")),
        data=DataRef(folder=str(here), train=("chats.jsonl",)),
        output=here / "whole" / "output",
        work=here / "whole" / "work",
        emit=events.append,
    )
    LLM.train(params, run)
    return {e.step: e.values["loss"] for e in events if isinstance(e, Metric)}


def curve(laptop: Laptop, name: str) -> dict[int, float]:
    """Return all losses that a job and those it goes on with have measured, each step once."""
    said = laptop.run("logs", name, "--events", "--json")
    lines = [json.loads(line) for line in said.out.splitlines() if line.startswith("{")]
    told = [line for line in lines if line.get("kind") == "metric" and "loss" in line["values"]]
    steps = [line["step"] for line in told]
    assert steps == list(range(1, len(steps) + 1)), "one story"
    return {line["step"]: line["values"]["loss"] for line in told}


def step_of(laptop: Laptop, name: str) -> int | None:
    """Return how far a job is."""
    found: int | None = laptop.run("status", name, "--json").document["step"]
    return found


def ended_job(laptop: Laptop, name: str) -> dict[str, Any] | None:
    document: dict[str, Any] = laptop.run("status", name, "--json").document
    return document if document["state"] == "failed" else None
