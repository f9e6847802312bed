"""The command line's whole output, as people see it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.api.errors import Failure
from orchestrator.settings import reference
from worker.tasks.llm import trainers

ROOT = Path(__file__).parents[1]
GOLDEN = Path(__file__).parent / "golden"
REWRITE = "HUBTRAIN_REWRITE_GOLDEN"


def run(home: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUBTRAIN_"))}
    environ |= {"HUBTRAIN_HOME": str(home), "HF_HOME": str(home), "COLUMNS": "100"}
    environ |= {"HF_ENDPOINT": "http://127.0.0.1:9", **more}
    return subprocess.run(
        [sys.executable, "-P", "-m", "orchestrator.terminal.cli", *words],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=home,
    )


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="root alone can")
def test_a_user_without_a_home_is_told_where_records_could_be() -> None:
    """A number without a name, as in a container that is started with `--user 54321`."""
    jobs = without_a_home(
        "import runpy; runpy.run_module('orchestrator.terminal.cli', None, '__main__')", "jobs"
    )
    assert jobs.returncode == 2 and "Traceback" not in jobs.stderr
    assert "This user has no home folder" in jobs.stderr and "HUBTRAIN_HOME=" in jobs.stderr


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="root alone can")
def test_a_user_without_a_home_has_chosen_no_docker_context() -> None:
    asked = without_a_home("from backends.docker.engine import place; print([place()])")
    assert asked.stdout == "['']\n", asked.stderr


def without_a_home(program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python as a number without a name, which what root may read stays open to."""
    known = {"HOME", "HUBTRAIN_HOME", "XDG_DATA_HOME"}
    environ = {
        k: v for k, v in os.environ.items() if k not in known and not k.startswith("DOCKER_")
    }
    return subprocess.run(
        [sys.executable, "-P", "-c", f"import os; os.setreuid(54321, -1); {program}", *words],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_backends_fails_while_one_that_bills_does_not_answer(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b,target\n" + "1,2,x\n2,1,y\n" * 20)
    words = ("tabular", "--data-path", "t.csv", "--project-name", "p", "--target-columns", "target")
    done = run(tmp_path, "backends", "--for", *words)
    assert "local " in done.stdout and "spaces  asking for hardware" in done.stdout
    assert done.returncode == 1, "prices are not known"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("help", ["--help"]),
        ("llm-help", ["llm", "--help"]),
        ("jobs-help", ["jobs", "--help"]),
        ("gc-help", ["gc", "--help"]),
        ("no-jobs", ["jobs"]),
    ],
)
def test_output(tmp_path: Path, name: str, words: list[str]) -> None:
    """To accept a change: HUBTRAIN_REWRITE_GOLDEN=1 pytest tests/test_cli.py."""
    done = run(tmp_path, *words)
    assert (done.returncode, done.stderr) == (0, "")
    file = GOLDEN / f"{name}.txt"
    if os.environ.get(REWRITE):
        file.write_text(done.stdout, encoding="utf-8")
    assert done.stdout == file.read_text(encoding="utf-8")


def test_the_summary_of_each_command_fits_a_narrow_terminal(tmp_path: Path) -> None:
    done = run(tmp_path, "--help", COLUMNS="80")
    tasks, _, commands = done.stdout.partition("Tasks:\n")[2].partition("\n\nCommands:\n")
    assert "\n  llm " in tasks and "\n  gc " in commands
    listed = [*tasks.splitlines(), *commands.splitlines()]
    assert [line for line in listed if not line.endswith(".") or line.endswith("...")] == []


TRAIN = ("llm", "--train", "--model", "m", "--data-path", "d", "--project-name", "p")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["llm", "--train", "--model", "gpt2", "--learning-rat", "1e-4"],
            "no option --learning-rat. Did you mean --learning-rate (also --lr)?",
        ),
        (["llm", "--trainr", "sft", "--model", "m"], "no option --trainr. Did you mean --trainer?"),
        (["llm", "--train", "--inference", "--model", "m"], "--train and --inference: one at"),
        (["export", "m", "--gguf", "q4_K_M"], "llama-quantize MODEL-bf16.gguf MODEL.gguf Q4_K_M"),
        (["job"], "no command job. Did you mean jobs?"),
        (["zzz"], "no command zzz. hubtrain --help lists them."),
        (["api"], "no command api. AutoTrain's API is part of `hubtrain app`."),
        (["dreambooth"], "dreambooth: DreamBooth is not there yet."),
        (
            [*TRAIN, "--lr", "1e-4", "--learning-rate=2e-4"],
            "--lr and --learning-rate are the same setting; give one of them.",
        ),
        ([*TRAIN, "-m", "b"], "--model and -m are the same setting"),
        *(
            (
                [*TRAIN, "--trainer", name],
                f"--trainer {name!r} is not there yet; there are {', '.join(trainers.names())}.",
            )
            for name in trainers.not_yet()[:1]
        ),
        ([*TRAIN, "--backend", "nvcf-h100x1"], "NVIDIA Cloud Functions"),
        (["llm"], "say what to do: --train, --inference, or --deploy"),
        (["status", "nope"], "no job 'nope' on this machine."),
        (["status"], "Missing argument 'JOB'."),
        (["logs", "not-a-handle"], "no job 'not-a-handle' on this machine."),
        (["--config", "missing.yml"], "cannot read missing.yml: No such file or directory"),
        (
            ["llm", "--train", "--model", "m", "--data-path", "d", "--batch-size", "0"],
            "--batch-size 0: must be 1 or more.",
        ),
        (["llm", "--train", "--model", "m", "--data-path", "d"], "--project-name is needed"),
    ],
)
def test_what_cannot_be_understood_is_explained(
    tmp_path: Path, words: list[str], said: str
) -> None:
    done = run(tmp_path, *words)
    assert done.returncode == 2
    assert done.stdout == ""
    first = done.stderr.splitlines()[0]
    assert first.startswith("  ✗ ")
    assert said in first


@pytest.mark.parametrize(
    "before", [("backends", "--for"), ("sweep", "--try", "lr=1,2"), ("rehearse", "--steps", "3")]
)
def test_of_a_commands_own_options_none_is_called_unknown(
    tmp_path: Path, before: tuple[str, ...]
) -> None:
    said = run(tmp_path, *before, *TRAIN, "--trainr", "sft").stderr
    assert said.splitlines() == ["  ✗ no option --trainr. Did you mean --trainer?"]


def test_words_for_a_script_are_the_same_wherever_its_settings_are_typed(tmp_path: Path) -> None:
    script = ("spacerunner", "--train", "--script-path", "s", "--project-name", "p")
    said = run(tmp_path, "config", *script, "--json", "--", "--train", "--json")
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["settings"]["args"]["value"] == ["--train", "--json"]


def test_errors_are_json_where_that_is_asked_for(tmp_path: Path) -> None:
    done = run(tmp_path, "status", "nope", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"] == "no job 'nope' on this machine."


def test_unknown_yaml_keys_are_errors(tmp_path: Path) -> None:
    (tmp_path / "job.yml").write_text(
        "task: llm-sft\nbase_model: m\nproject_name: p\ndata:\n  path: d\nparams:\n  epoch: 3\n"
    )
    done = run(tmp_path, "--config", "job.yml")
    assert done.returncode == 2
    assert "job.yml: no setting 'epoch'. Did you mean epochs?" in done.stderr


def test_flags_beside_a_file_win_and_need_no_command(tmp_path: Path) -> None:
    (tmp_path / "job.yml").write_text(
        "task: llm-sft\nbase_model: ./none\nproject_name: p\nparams:\n  unsloth: true\n"
    )
    rows = ["--data-path", "none.jsonl"]
    done = run(tmp_path, "--config", "job.yml", "--batch-size", "0", *rows)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == ["  ✗ --batch-size 0: must be 1 or more."]
    done = run(tmp_path, "--config=job.yml", "--backend", "spaces-t4", *rows, "--dry-run")
    assert done.returncode == 2
    assert "! settings  job.yml: unsloth is not used: " in done.stdout
    assert "no Hub token, and spaces needs one" in done.stdout


def test_ones_own_name_that_cannot_be_asked_is_said(tmp_path: Path) -> None:
    (tmp_path / "job.yml").write_text("task: llm\nmodel: m\nrepo_id: ${HF_USERNAME}/bot\n")
    done = run(tmp_path, "--config", "job.yml")
    assert (done.returncode, done.stdout) == (2, "")
    assert "HF_USERNAME is not set and nobody is logged in" in done.stderr
    assert "export HF_USERNAME=" in done.stderr
    done = run(tmp_path, "--config", "job.yml", HF_TOKEN="hf_abcdefghijklmnopqrstuv")
    assert done.returncode == 2
    assert "your own name on the Hub, which could not be asked: " in done.stderr


def test_a_token_in_a_file_is_used_and_is_no_setting(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "a"}\n' * 3)
    (tmp_path / "job.yml").write_text(
        "task: llm-sft\nbase_model: a/b\nproject_name: p\nbackend: spaces-t4\n"
        "data:\n  path: rows.jsonl\n"
        "hub:\n  username: ann\n  token: ${SECRET}\n  push_to_hub: true\n"
    )
    done = run(tmp_path, "--config", "job.yml", SECRET="hf_abcdefghijklmnopqrstuv")
    assert done.returncode == 2
    assert done.stderr == ""
    assert "no Hub token" not in done.stdout
    assert "hf_abcdefghijklmnopqrstuv" not in done.stdout


def test_no_network_is_said_once_and_creates_nothing(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "a"}\n' * 3)
    words = ["llm", "--train", "--model", "a/b", "--data-path", "rows.jsonl", "--project-name", "p"]
    words += ["--backend", "spaces-t4", "--push-to-hub"]
    done = run(tmp_path, *words, HF_TOKEN="hf_abcdefghijklmnopqrstuv")
    assert done.returncode == 2
    assert done.stdout.count("no answer from http://127.0.0.1:9") == 1
    assert "Nothing was created." in done.stdout
    assert "hf_abcdefghijklmnopqrstuv" not in done.stdout + done.stderr


def test_the_program_is_also_called_autotrain(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("autotrain")
    done = subprocess.run([program, "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: autotrain ")


def test_the_reference_page_is_what_the_classes_say() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == reference.page(), "python -m orchestrator.settings.reference > docs/settings.md"


WRONG = list(Failure.model_fields)


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (["jobs"], []),
        (["doctor"], ["level", "topic", "text", "fix"]),
        (
            ["gc"],
            [
                "stopped",
                "left",
                "secrets_taken_back",
                "removed",
                "running",
                "deployed",
                "unanswered",
            ],
        ),
        (["backends"], ["local"]),
        (["llm", "--train", "--model", "m"], WRONG),
        (["rm", "nope"], WRONG),
        (["cancel", "nope"], WRONG),
        (["logs", "spaces://"], WRONG),
        (["zzz"], WRONG),
    ],
)
def test_every_command_speaks_json(tmp_path: Path, words: list[str], keys: list[str]) -> None:
    done = run(tmp_path, *words, "--json", DOCKER_HOST="unix:///nowhere/docker.sock")
    (line,) = done.stdout.splitlines()
    said = json.loads(line)
    first = said[0] if isinstance(said, list) and said else said
    assert list(first) == keys
    assert "Traceback" not in done.stderr


def test_a_folder_that_may_not_be_written_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    done = run(tmp_path, "jobs", HUBTRAIN_HOME=str(tmp_path / "taken" / "home"))
    assert done.returncode == 1
    assert done.stderr.startswith("  ✗ cannot keep records in ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--data-path", "my", "data.csv"), "data.csv belongs to no option."),
        (("--data-path", "my", "own", "data.csv", "--peft"), "--data-path 'my own data.csv'"),
        (("--peft", "data.csv"), "Got unexpected extra argument (data.csv)."),
    ],
)
def test_a_path_with_blanks_takes_quotes(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    done = run(tmp_path, "llm", "--train", *words)
    assert done.returncode == 2 and said in done.stderr
