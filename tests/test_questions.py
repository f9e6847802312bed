"""A command that says too little asks for the rest, where somebody is there to answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from standins.laptop import Laptop
from standins.localhub import HubServer
from standins.terminal import CTRL_C, Terminal, terminal

from orchestrator.exits import DETACHED, MENDABLE
from orchestrator.samples import begin

WORDS = ("tabular", "--target-columns", "fruit")


@pytest.fixture
def laptop(shared_hub: HubServer, tmp_path: Path) -> Laptop:
    begin("tabular", tmp_path / "work")
    return Laptop(tmp_path / "home", shared_hub)


def environ(laptop: Laptop) -> dict[str, str]:
    return {name: value for name, value in laptop.environ.items() if name != "CI"}


def answer(shown: Terminal, *answers: tuple[str, str]) -> None:
    for asked, said in answers:
        shown.until(asked)
        shown.type(f"{said}\n")


def test_what_is_missing_is_asked_for_and_becomes_a_command(laptop: Laptop, tmp_path: Path) -> None:
    words = (*WORDS, "--dry-run")
    with terminal(*words, cwd=tmp_path / "work", environ=environ(laptop)) as shown:
        answer(shown, ("--model [xgboost]: ", "linear"))
        told = shown.until("--model [xgboost]: ")
        assert "random_forest" in told, "what may be said instead"
        answer(shown, ("", ""), ("--data-path [fruit.csv]: ", ""))
        answer(shown, ("--project-name [my-fruit]: ", "apples"), ("--backend [local]: ", "moon"))
        answer(shown, ("--backend [local]: ", ""))
        command = "$ hubtrain tabular --target-columns fruit --dry-run --train --model xgboost"
        shown.until(f"{command} --data-path fruit.csv --project-name apples --backend local")
        assert shown.end() == 0
    assert "There is no backend 'moon'" in shown.shown
    assert "A line of it:  {" in shown.shown and "The plan; nothing was created" in shown.shown


def test_what_costs_is_rented_only_once_the_user_agrees(laptop: Laptop, tmp_path: Path) -> None:
    laptop.hub.forget_requests()
    with terminal(*WORDS, cwd=tmp_path / "work", environ=environ(laptop)) as shown:
        answer(shown, ("[xgboost]: ", ""), ("[fruit.csv]: ", ""), ("[my-fruit]: ", ""))
        answer(shown, ("--backend [local]: ", "spaces-cpu-upgrade"))
        shown.until("--backend spaces-cpu-upgrade --push-to-hub")
        question = shown.until("[y/N]: ", seconds=120)
        assert "Rent spaces-cpu-upgrade: " in question and "at most?" in question
        shown.type("\n")
        assert shown.end() == MENDABLE
    assert "Nothing was created." in shown.shown
    assert not laptop.hub.requests(r"/api/repos/create") and laptop.jobs() == []


def test_ctrl_c_leaves_the_questions(laptop: Laptop, tmp_path: Path) -> None:
    with terminal(*WORDS, cwd=tmp_path / "work", environ=environ(laptop)) as shown:
        shown.until("[xgboost]: ")
        assert shown.end(CTRL_C) == DETACHED
    assert "Traceback" not in shown.shown


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_script_is_never_asked(laptop: Laptop, more: tuple[str, ...]) -> None:
    said = laptop.run("llm", *more)
    assert said.code == MENDABLE and "say what to do: --train" in said.err
