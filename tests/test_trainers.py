"""Trainers are found: one more file in their folder is all that it takes to train another way."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_llm import write_model, write_rows

from worker.errors import BadConfig
from worker.params import Params
from worker.tasks.llm import TASK, trainers
from worker.tasks.llm.params import LlmParams

ROOT = Path(__file__).parent.parent
ROOMS = ("orchestrator", "worker", "backends", "space_template")


def test_choices_and_settings_come_from_the_folder() -> None:
    files = {p.stem for p in (ROOT / "worker/tasks/llm/trainers").glob("[a-z]*.py")}
    assert set(trainers.names()) == files
    for name in trainers.names():
        trainer = trainers.load(name)
        assert trainer.name == name
        assert trainer.settings.model_fields.keys() <= TASK.params.model_fields.keys()
    with pytest.raises(ValueError, match=re.escape(repr(trainers.names()[-1]))):
        TASK.params(model="m", data_path="d", trainer="nonsense")


def test_a_trainer_of_another_version_is_told_as_that() -> None:
    with pytest.raises(BadConfig, match=r"no trainer 'later' here; there are .*another version"):
        trainers.load("later")


def test_a_setting_of_two_trainers_is_refused() -> None:
    class Takes(Params):
        block_size: int = 1

    with pytest.raises(TypeError, match="block_size of Takes is a setting of LlmParams"):
        trainers._check(LlmParams, [Takes])


def test_what_a_trainer_uses_is_no_longer_ignored() -> None:
    class Used(Params):
        unsloth: float = 0.1

    left = trainers.without(TASK.ignored, Used)
    assert TASK.ignored.model_fields.keys() - left.model_fields.keys() == {"unsloth"}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the sources with the trainer of CONTRIBUTING.md in it."""
    house = tmp_path_factory.mktemp("house")
    for room in ROOMS:
        shutil.copytree(ROOT / room, house / room)
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    code = re.search(r"## Add a trainer.*?```python\n(.*?)```", page, re.S)
    assert code
    (house / "worker/tasks/llm/trainers/rank.py").write_text(code[1], encoding="utf-8")
    layout = re.search(r"Another layout is less.*?```python\n(.*?)```", page, re.S)
    assert layout
    (house / "worker/tasks/llm/trainers/stars.py").write_text(layout[1], encoding="utf-8")
    write_rows(
        house / "jobs" / "stars.jsonl", [{"review": f"good {n}", "stars": 5} for n in range(9)]
    )
    write_model(house / "jobs" / "tiny")
    rows = [{"prompt": "say ", "chosen": "the fox", "rejected": "a dog"} for _ in range(6)]
    write_rows(house / "jobs" / "pairs.jsonl", rows)
    return house


def hubtrain(house: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "orchestrator.terminal.cli", *words],
        cwd=house / "jobs",
        env={
            **os.environ,
            "PYTHONPATH": str(house),
            "HUBTRAIN_HOME": str(house / "home"),
            "COLUMNS": "200",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def job(*more: str) -> tuple[str, ...]:
    return (
        *("llm", "--train", "--trainer", "rank", "--rank-beta", "0.5", "--model", "tiny"),
        *("--data-path", "pairs.jsonl", "--project-name", "ranked", "--backend", "local"),
        *("--max-steps", "3", "--lr", "0.01", "--logging-steps", "1", "--json", *more),
    )


@pytest.mark.slow
def test_another_layout_is_checked_as_any_other(planted: Path) -> None:
    words = ("llm", "--train", "--trainer", "stars", "--model", "tiny", "--backend", "local")
    more = ("--project-name", "stars", "--dry-run", "--data-path")
    said = hubtrain(planted, *words, *more, "stars.jsonl")
    assert said.returncode == 0, said.stdout + said.stderr
    assert "9 prompts with completions" in said.stdout and "loss on completions only" in said.stdout
    wrong = hubtrain(planted, *words, *more, "pairs.jsonl")
    assert wrong.returncode == 2
    assert 'no column "review" in pairs.jsonl; it has: prompt, chosen, rejected.' in wrong.stdout


@pytest.mark.slow
def test_one_more_file_is_found_in_the_help_the_check_the_plan_and_the_run(planted: Path) -> None:
    said = hubtrain(planted, "llm", "--help").stdout
    there = sorted({*trainers.names(), "rank", "stars"})
    assert f"[{'|'.join(there)}]" in said and "--rank-beta" in said and "Trainer rank" in said

    wrong = hubtrain(planted, *job("--rejected-text-column", "worse"))
    assert wrong.returncode and r"no column \"worse\" in pairs.jsonl" in wrong.stdout

    plan = hubtrain(planted, *job("--dry-run"))
    assert plan.returncode == 0, plan.stderr + plan.stdout
    assert "6 pairs of answers" in plan.stdout
    assert '"rank_beta": 0.5' in json.dumps(json.loads(plan.stdout.splitlines()[-1]))

    done = hubtrain(planted, *job())
    assert done.returncode == 0, done.stderr + done.stdout
    output = planted / "jobs" / "ranked"
    assert (output / "model.safetensors").exists()
    events = [json.loads(line) for line in (output / "events.jsonl").read_text().splitlines()]
    margins = [e["values"].get("rewards/margins") for e in events if e["kind"] == "metric"]
    seen = [margin for margin in margins if margin is not None]
    assert len(seen) >= 3 and seen[-1] > seen[0]
    assert {e["unit"] for e in events if e["kind"] == "progress"} == {"pairs"}
