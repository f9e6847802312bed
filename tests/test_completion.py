"""What shells offer after Tab: bash and zsh as somebody types, fish by its own `complete`."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from benches.spaces import job
from standins.terminal import Terminal, running_in_a_terminal

from backends.base import Flavor
from backends.handle import Handle
from orchestrator import machine_cache
from orchestrator.completing import Bash
from orchestrator.jobs.deployments import DeploymentRecord, Deployments
from orchestrator.jobs.records import Records
from orchestrator.terminal.program import program
from worker.contract import Started
from worker.contract.job import Trial

BIN = Path(sys.executable).parent
NOW = datetime.now(UTC)
NOWHERE = "http://127.0.0.1:9"
TAB, ERASE = "\t", "\x15"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a trial that runs, and the machines of a provider that was asked once."""
    home = tmp_path_factory.mktemp("home")
    spec = job(project="support-bot").model_copy(update={"trial": Trial(sweep="tuning", number=0)})
    records = Records(home)
    records.claim("f", lambda: spec, NOW)
    records.add(spec.job_id, [Started(job_id=spec.job_id, at=NOW, seq=1)])
    handle = Handle("space", "ann/tiny-chat")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", NOWHERE)
        Deployments(records).put(DeploymentRecord(handle, "ann/tiny", "cpu-basic", 0.0, NOW))
    (home / "chats.jsonl").write_text("{}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HUBTRAIN_HOME", str(home))
        machine_cache.keep({"jobs": [Flavor("h9-giant", "", 90.0, 1e12, "H9", 8)]})
    return home


@pytest.fixture
def environ(home: Path) -> dict[str, str]:
    """The environment of a shell in which nothing can be asked over a network."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUBTRAIN", "COLUMNS"))}
    return {
        **kept,
        "HUBTRAIN_HOME": str(home),
        "HF_ENDPOINT": NOWHERE,
        "HOME": str(home),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "PS1": "> ",
    }


def job_id(home: Path) -> str:
    (found,) = Records(home).glances()
    return found.job_id


def offers(words: str) -> list[str]:
    """Return what is offered for words; the last one is completed, and empty behind a blank."""
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - (words[-1] != " "))}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in asked.items():
            patch.setenv(name, value)
        found = Bash(program, {}, "hubtrain", "").complete().splitlines()
    return [line.removeprefix("plain,") for line in found]


@pytest.fixture
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HUBTRAIN_HOME", str(home))
    monkeypatch.setenv("HF_ENDPOINT", NOWHERE)
    return home


@pytest.mark.parametrize(
    ("words", "some", "none"),
    [
        ("hubtrain ", ["jobs", "llm", "text-classification", "completion"], ["--help"]),
        ("hubtrain tr", ["train"], []),
        ("hubtrain train --learning", ["--learning-rate"], []),
        ("hubtrain status tiny", ["tiny-chat"], ["space://ann/tiny-chat"]),
        ("hubtrain cancel space : //an", ["//ann/tiny-chat"], []),
        ("hubtrain rm space :", ["//ann/tiny-chat"], []),
        ("hubtrain rm space : //ann/tiny-chat ", ["support-bot"], ["//ann/tiny-chat"]),
        ("hubtrain llm --learn", ["--learning-rate"], ["--lr"]),
        ("hubtrain llm --lora_r", ["--lora_r"], ["--lora-r"]),
        ("hubtrain llm --no-pef", ["--no-peft"], []),
        ("hubtrain llm --trainer ", ["sft", "dpo"], ["--lr"]),
        ("hubtrain llm --backend ", ["local", "spaces-t4", "jobs-h9-giant"], []),
        ("hubtrain llm --backend = jobs-h9", ["jobs-h9-giant"], ["local"]),
        ("hubtrain deploy m --deploy-backend ", ["spaces", "spaces-t4"], []),
        ("hubtrain llm --lr ", [], ["sft", "file,"]),
        ("hubtrain llm --data-path ch", ["file,ch"], []),
        ("hubtrain --config no-such-file.yml --tr", [], []),
        ("hubtrain logs ", ["support-bot", "latest"], []),
        ("hubtrain resume ", [], ["support-bot", "latest"]),
        ("hubtrain resume support-bot --epo", ["--epochs"], []),
        ("hubtrain init llm-", ["llm-dpo", "llm-sft"], ["llm"]),
        ("hubtrain sweep ", ["llm", "tabular"], ["llm-dpo"]),
        ("hubtrain sweep --t", ["--try"], []),
        ("hubtrain sweep --resume ", ["tuning"], ["support-bot"]),
        ("hubtrain cancel tu", ["tuning"], []),
        ("hubtrain resume tu", [], ["tuning"]),
        ("hubtrain sweep llm --trainer d", ["dpo"], ["sft"]),
        ("hubtrain sweep nonsense --tra", [], ["--trainer"]),
        ("hubtrain cost --by ", ["month", "project"], []),
        ("hubtrain completion ", ["bash", "zsh", "fish"], []),
    ],
)
def test_what_fits_is_offered(words: str, some: list[str], none: list[str], at_home: Path) -> None:
    found = offers(words)
    assert set(some) <= set(found) and not set(none) & set(found), found


def test_jobs_are_offered_by_id(at_home: Path) -> None:
    name = job_id(at_home)
    for command in ("status", "logs", "cancel", "rm"):
        assert name in offers(f"hubtrain {command} ")
    assert offers(f"hubtrain cancel {name} {name[:3]}") == [name]


def test_nothing_heavy_is_loaded_for_it(environ: dict[str, str]) -> None:
    asked = {"_HUBTRAIN_COMPLETE": "zsh_complete", "COMP_WORDS": "hubtrain llm --l"}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", BIN / "hubtrain"],
        env={**environ, **asked, "COMP_CWORD": "2"},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "--learning-rate" in done.stdout and "click" in loaded
    assert not loaded & {"torch", "transformers", "huggingface_hub", "pyarrow", "rich.console"}


@contextmanager
def shell(name: str, *words: str, environ: Mapping[str, str], cwd: Path) -> Iterator[Terminal]:
    """Run a shell in a terminal, with our completion read."""
    with running_in_a_terminal([name, *words], cwd=cwd, environ=environ) as shown:
        for program in ("hubtrain", "autotrain"):
            shown.type(f'eval "$({program} completion {name})"\n')
        shown.type("echo re''ady\n")
        shown.until("ready\n")
        yield shown


def completes(shown: Terminal) -> None:
    """Press Tab as a person would, in a shell that has read our completion."""
    for typed, there in (
        ("hubtrain comple", "hubtrain completion "),
        ("hubtrain llm --learning", "hubtrain llm --learning-rate "),
        ("hubtrain logs support", "hubtrain logs support-bot "),
        ("hubtrain rm tun", "hubtrain rm tuning "),
        ("hubtrain status space://a", "hubtrain status space://ann/tiny-chat "),
        ("hubtrain llm --data-path cha", "chats.jsonl"),
        ("autotrain llm --trainer gr", "autotrain llm --trainer grpo "),
    ):
        shown.type(ERASE + typed)
        shown.until(typed)
        shown.type(TAB)
        shown.until(there.removeprefix(typed) if there.startswith(typed) else "ts.jsonl")
    shown.type(f"{ERASE}exit\n")


@pytest.mark.program("bash")
def test_bash_completes(home: Path, environ: dict[str, str]) -> None:
    with shell("bash", "--norc", "-i", environ=environ, cwd=home) as shown:
        completes(shown)
        shown.end()


@pytest.mark.program("zsh")
def test_zsh_completes(home: Path, environ: dict[str, str]) -> None:
    (home / ".zshrc").write_text(
        "PS1='> '; unsetopt zle_bracketed_paste; autoload -U compinit; compinit -u\n"
    )
    with shell("zsh", "-i", environ={**environ, "ZDOTDIR": str(home)}, cwd=home) as shown:
        completes(shown)
        shown.end()


@pytest.mark.program("fish")
def test_fish_completes(home: Path, environ: dict[str, str]) -> None:
    asked = (
        *("hubtrain llm --learn", "autotrain llm --trainer gr", "hubtrain llm --data-path cha"),
        *("hubtrain status space://a", "hubtrain rm tun"),
    )
    script = ["hubtrain completion fish | source", "autotrain completion fish | source"]
    script += [f"complete -C {shlex.quote(words)}" for words in asked]
    done = subprocess.run(
        ["fish", "--no-config", "-c", "; ".join(script)],
        env=environ,
        cwd=home,
        capture_output=True,
        text=True,
        check=True,
    )
    rate, trainer, file, deployed, swept = (
        line.partition("\t") for line in done.stdout.splitlines()
    )
    assert rate[0] == "--learning-rate" and "rate" in rate[2], "with what it means"
    assert (trainer[0], file[0]) == ("grpo", "chats.jsonl")
    assert (deployed[0], swept[0]) == ("space://ann/tiny-chat", "tuning")
