"""`hubtrain setup` and `hubtrain config`: a machine made ready, and settings with their origins."""

from __future__ import annotations

import os
import pty
import select
import sys
import termios
import time
from pathlib import Path

import pytest
from standins.laptop import Laptop
from standins.localhub import HubServer


@pytest.fixture
def laptop(shared_hub: HubServer, tmp_path: Path) -> Laptop:
    return Laptop(tmp_path / "home", shared_hub)


def test_a_machine_without_a_login_is_asked_nothing_where_nobody_answers(laptop: Laptop) -> None:
    nobody = {"HF_TOKEN": "", "HF_HOME": str(laptop.home / "hf")}
    done = laptop.run("setup", "--update-torch", "--colab", **nobody)
    assert (done.code, done.err) == (0, "")
    assert "a new folder" in done.out and "no Hub token" in done.out
    assert "packages are not changed here" in done.out
    assert laptop.home.stat().st_mode & 0o077 == 0
    again = laptop.run("setup", "--json", **nobody)
    assert again.code == 0 and "as before" in str(again.document)


def test_a_machine_with_a_token_is_ready(laptop: Laptop) -> None:
    done = laptop.run("setup")
    assert (done.code, done.err) == (0, "")
    assert "ann at http" in done.out and "token may write" in done.out
    piped = laptop.run("setup", PYTHONIOENCODING="ascii")
    assert (piped.code, piped.err) == (0, "") and "+ account" in piped.out
    wrong = laptop.run("setup", HF_TOKEN="hf_" + "a" * 34)
    assert wrong.code == 1 and "does not accept this token" in wrong.out


def test_on_a_terminal_one_logs_in_as_with_the_hubs_own_program(laptop: Laptop) -> None:
    token, hf = laptop.hub.tokens["ann"], laptop.home / "hf"
    environ = laptop.environ | {"HF_HOME": str(hf), "TERM": "xterm"}
    environ = {k: v for k, v in environ.items() if k not in {"HF_TOKEN", "CI"}}
    command = [sys.executable, "-P", "-m", "orchestrator.terminal.cli", "setup"]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(command[0], command, environ)
    try:
        said = answered(terminal, {"How would you like": "2", "Enter your token": f"{token}\r"})
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, said
    finally:
        os.close(terminal)
    assert "token may write" in said and token not in said
    assert (hf / "token").read_text() == token
    kept = [path for path in laptop.home.rglob("*") if path.is_file() and hf not in path.parents]
    assert all(token.encode() not in path.read_bytes() for path in kept)


def answered(terminal: int, answers: dict[str, str], seconds: float = 60.0) -> str:
    """Return what a program says on a terminal, each answer typed once its question is there.

    Nothing is typed before the program listens: then the terminal shows no more what is typed.
    """
    said, left, deadline = "", dict(answers), time.monotonic() + seconds
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                said += os.read(terminal, 4096).decode(errors="replace")
            except OSError:  # the program has ended
                return said
        listens = not termios.tcgetattr(terminal)[3] & termios.ECHO
        asked = [question for question in left if question in said]
        if asked and listens:
            os.write(terminal, left.pop(asked[0]).encode())
    raise AssertionError(f"it did not end: {said}")


# hubtrain config


def test_every_setting_is_shown_with_where_it_was_said(laptop: Laptop, tmp_path: Path) -> None:
    (tmp_path / "job.yml").write_text(
        "task: llm-sft\nbase_model: a/b\nproject_name: bot\ndata:\n  path: rows.jsonl\n"
        "params:\n  lr: 1e-4\n  epochs: 2\nhub:\n  token: ${HF_TOKEN}\n"
    )
    words = ("config", "--config", "job.yml", "--epochs", "3", "--backend", "spaces-t4")
    environ = {"HUBTRAIN_SEED": "7"}
    done = laptop.run(*words, "--json", **environ)
    assert done.code == 0, done.err
    settings = done.document["settings"]
    assert settings["lr"] == {"value": 1e-4, "from": "job.yml", "line": 7}
    assert settings["epochs"] == {"value": 3, "from": "flags", "line": None}
    assert settings["seed"] == {"value": 7, "from": "environment", "line": None}
    assert settings["trainer"] == {"value": "sft", "from": "job.yml", "line": None}
    assert settings["batch_size"] == {"value": 2, "from": "default", "line": None}
    assert done.document["token"] == "from HF_TOKEN or a file"
    shown = laptop.run(*words, **environ)
    rows = [line.split() for line in shown.out.splitlines()]
    assert ["lr", "0.0001", "job.yml:7"] in rows
    assert ["epochs", "3", "--epochs"] in rows
    assert ["seed", "7", "HUBTRAIN_SEED"] in rows
    assert "settings have their defaults; --all shows them" in shown.out
    assert laptop.hub.tokens["ann"] not in shown.out + done.out
    assert not [row for row in rows if row and row[0] == "batch_size"]
    every = laptop.run(*words, "--all", **environ)
    assert ["batch_size", "2", "default"] in [line.split() for line in every.out.splitlines()]
    misplaced = laptop.run("config", "job.yml", "--json")
    assert (misplaced.code, misplaced.document["fix"]) == (2, "--config job.yml")


def test_what_is_wrong_is_shown_beside_what_is_not(laptop: Laptop) -> None:
    done = laptop.run("config", "llm", "--seed", "x", "--backend", "moon", "--json")
    assert done.code == 2
    assert done.document["settings"]["seed"]["value"] == "x"
    assert any("--seed x: must be a whole number" in one for one in done.document["wrong"])
    assert any("no backend 'moon'" in one for one in done.document["wrong"])
    nothing = laptop.run("config")
    assert nothing.code == 2 and "say which task" in nothing.err
    other = laptop.run("config", "tabular", "--max-doc-stride", "1")
    assert "no option --max-doc-stride. extractive-qa has it." in other.err
    many = laptop.run("config", "tabular", "--epochs", "1")
    assert "no option --epochs. extractive-qa, image-classification, " in many.err
    assert " more have it." in many.err
