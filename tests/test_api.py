"""The Python API: the flow as functions and jobs; nothing printed, light to import, documented."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from standins.laptop import Laptop, processes
from standins.localhub import HubServer
from standins.script import START, Hurried
from standins.waiting import until
from tiny_llm import chats, write_model, write_rows

import hubtrain
from orchestrator.api import arguments
from orchestrator.jobs.client import Client
from orchestrator.jobs.view import view_of
from worker.contract import (
    DataRef,
    EndReason,
    Failed,
    JobSpec,
    Launched,
    Machine,
    Metric,
    ModelRef,
    Observed,
    Progress,
    Started,
)
from worker.show.cell import cell

ROOT = Path(__file__).parent.parent
CANARY = "hf_canary" + "x" * 20

SPEC = JobSpec(
    job_id="k4x7qp",
    project="bot",
    task="llm",
    params={},
    model=ModelRef(name="m"),
    data=DataRef(),
    machine=Machine(backend="local"),
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path))
    monkeypatch.setenv("HF_TOKEN", "")
    return tmp_path


def running() -> hubtrain.Job:
    """A job that trains, on record, whose machine answers nothing new."""
    client = Client(clock=Hurried(), given_token=CANARY)
    client.records.claim("f", lambda: SPEC, START)
    client.records.add(
        "k4x7qp",
        [
            Launched(handle="local://k4x7qp", at=START, source="laptop"),
            Started(job_id="k4x7qp", at=START, seq=1),
            Progress(step=1, total_steps=4, at=START, seq=2),
            Metric(step=1, values={"loss": 2.5}, at=START, seq=3),
        ],
    )
    return hubtrain.Job(client, client.record("k4x7qp"))


def test_a_job_says_how_it_is(home: Path) -> None:
    job = running()
    assert (job.id, job.project, job.task, job.handle) == ("k4x7qp", "bot", "llm", "local://k4x7qp")
    assert (job.state, job.ended, job.progress) == ("running", False, 0.25)
    assert (job.metrics, job.history) == ({"loss": 2.5}, [{"step": 1, "loss": 2.5}])
    assert (job.model, job.cost, job.reason) == (None, 0.0, None)
    assert job.to_dict()["job"] == "k4x7qp"
    assert hubtrain.job("bot", refresh=False) == job == hubtrain.jobs(refresh=False)[0]
    assert CANARY not in repr(job) + repr(vars(job))


ANY: Any = hubtrain
"""The API as programs without types see it."""


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ANY.job(5), "the job is to be like 'k4x7qp', and not 5 (int)."),
        (lambda: ANY.job(""), "say which job"),
        (lambda: ANY.jobs(token=3), "token is to be like 'hf_…', and not 3 (int)."),
        (lambda: ANY.check(3), "the task is to be like 'llm-sft', and not 3 (int)."),
        (lambda: ANY.train("llm", config=3.5), "config is to be like 'job.yml', and not 3.5"),
        (lambda: ANY.check("llm", model=7, data_path=[]), "model '7': must be text"),
        (lambda: ANY.Job.wait(running(), "soon"), "like 600.0, in seconds, and not 'soon'"),
    ],
)
def test_arguments_of_another_type_are_named(home: Path, call: Any, words: str) -> None:
    with pytest.raises(hubtrain.BadConfig) as refused:
        call()
    assert words in str(refused.value)


def test_a_failed_job_has_an_end_and_no_result(home: Path) -> None:
    job = running()
    gone = Observed(stage="gone", alive=False, costing=False, at=START, source="laptop")
    failed = Failed(reason=EndReason.OOM, message="too large", at=START, seq=4)
    Client().records.add("k4x7qp", [failed, gone])
    assert job.wait() is job
    assert (job.state, job.reason, job.message) == ("failed", "oom", "too large")
    with pytest.raises(hubtrain.JobFailed, match="too large") as raised:
        job.result()
    assert (raised.value.job, raised.value.reason) == (job, "oom")


def test_of_several_jobs_to_remove_each_says_what_became_of_it(home: Path) -> None:
    running()
    command = [sys.executable, "-P", "-m", "orchestrator.terminal.cli", "rm", "--forget", "--json"]
    told = subprocess.run(
        [*command, "nobody", "k4x7qp"], capture_output=True, text=True, check=False
    )
    assert told.returncode == 1, told.stderr
    first, second = json.loads(told.stdout)
    assert "no job 'nobody'" in first["problem"]
    assert (second["job"], hubtrain.jobs(refresh=False)) == ("k4x7qp", [])


def test_all_that_is_wrong_with_settings_is_said_as_python_spells_it(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(hubtrain.BadConfig, match="arguments: no setting 'batch_sise'"):
        hubtrain.train("llm-sft", model="m", batch_sise=2)
    with pytest.raises(hubtrain.BadConfig, match="batch_size"):
        hubtrain.check("llm-sft", model="m", data_path="d", project_name="p", batch_size=0)
    with pytest.raises(hubtrain.BadConfig, match="the task is 'tea'"):
        hubtrain.train("tea")
    with pytest.raises(hubtrain.BadConfig, match="say which task"):
        hubtrain.train(model="m")
    with pytest.raises(hubtrain.HubtrainError, match="no job 'nobody'"):
        hubtrain.job("nobody")
    assert capsys.readouterr() == ("", "")


def test_a_refused_job_carries_its_report_and_nothing_is_created(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings: dict[str, Any] = {
        "model": str(home / "no-model"),
        "data_path": home / "no.csv",
        "project_name": "p",
    }
    report = hubtrain.check("llm-sft", **settings)
    assert not report.ok
    assert {f.topic for f in report.findings if f.level == "error"} >= {"data"}
    with pytest.raises(hubtrain.CheckFailed) as raised:
        hubtrain.train("llm-sft", **settings)
    assert "no.csv" in str(raised.value) and not raised.value.report.ok
    assert "--" not in str(raised.value) + "".join(f.fix for f in report.findings)
    assert hubtrain.jobs(refresh=False) == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("typed", "called"),
    [
        ("--overwrite, or another --project-name", "overwrite=True, or another project_name"),
        ("--batch-size 4 --peft --quantization int4", 'batch_size=4 peft=True quantization="int4"'),
        ("--no-peft", "peft=False"),
        ("--model with one that does", "model with one that does"),
        ("hf upload OWNER/NAME m, then --model OWNER/NAME", None),
        ("more rows, or leave --valid-split out", "more rows, or leave valid_split out"),
        ("hf download d --local-dir d", "hf download d --local-dir d"),
        ("Run the same command again.", "Run the same call again."),
        (
            "On with it: hubtrain llm --train --model a/b",
            "On with it: hubtrain llm --train --model a/b",
        ),
    ],
)
def test_what_to_type_next_is_said_as_arguments(typed: str, called: str | None) -> None:
    expected = called or 'hf upload OWNER/NAME m, then model="OWNER/NAME"'
    assert arguments.fix(typed) == expected


def test_the_page_says_what_the_docstrings_say() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "import write_api; print(write_api.page(), end='')"],
        cwd=ROOT / "docs",
        capture_output=True,
        text=True,
        check=True,
    )
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert page == told.stdout, "run: python docs/write_api.py"
    missing = [n for n in hubtrain.__all__ if f"`{n}`" not in page and f"hubtrain.{n}(" not in page]
    assert missing == ["Deployment", "Job"]


def test_importing_it_is_light() -> None:
    code = (
        "import sys, hubtrain\n"
        "heavy = {'torch', 'transformers', 'pyarrow', 'click', 'rich', 'huggingface_hub'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


@pytest.mark.slow
def test_an_installed_hubtrain_has_it(tmp_path: Path) -> None:
    source, installed, empty = tmp_path / "source", tmp_path / "installed", tmp_path / "empty"
    empty.mkdir()
    source.mkdir()
    for name in ("hubtrain", "orchestrator", "worker", "backends", "localhub", "space_template"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(installed), str(source)], check=True)
    code = (
        f"import sys; sys.path.insert(0, {str(installed)!r})\n"
        "import hubtrain, orchestrator; print(hubtrain.__file__, orchestrator.__file__)\n"
        "print(hubtrain.jobs(refresh=False), hubtrain.CheckReport)"
    )
    told = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=empty,
        env={"HUBTRAIN_HOME": str(tmp_path / "home"), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.count(str(installed)) == 2 and "[]" in told.stdout


@pytest.fixture(scope="module")
def laptop(shared_hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Laptop:
    folder = tmp_path_factory.mktemp("laptop")
    write_model(folder / "tiny")
    write_rows(folder / "chats.jsonl", chats(20))
    return Laptop(folder / "home", shared_hub)


@pytest.mark.slow
def test_the_example_trains_and_asks(laptop: Laptop) -> None:
    told = subprocess.run(
        [
            *(sys.executable, str(ROOT / "examples" / "python_api.py"), "--model", "tiny"),
            *("--data-path", "chats.jsonl", "--project-name", "bot", "--max-steps", "2"),
        ],
        env={**laptop.environ, "HF_TOKEN": ""},
        cwd=laptop.home.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert told.returncode == 0, told.stderr + told.stdout
    assert f"model {laptop.home.parent / 'bot'}" in told.stdout
    assert "succeeded 100%" in told.stdout and "loss" in told.stdout


FOREVER = """
import hubtrain, sys
job = hubtrain.train("llm-sft", model="tiny", data_path="chats.jsonl", project_name="forever",
                     peft=True, epochs=100000, model_max_length=64)
print(job.id, flush=True)
job.watch()
print("WAITING", flush=True)
job.wait()
"""

FROM_ELSEWHERE = """
import hubtrain, json, sys
job = hubtrain.job(sys.argv[1])
before = job.state
try:
    job.wait(timeout=0.5)
except hubtrain.WaitTimeout as error:
    assert isinstance(error, TimeoutError)
    late = str(error)
lines = list(job.logs())
job.cancel()
print(json.dumps([before, late, len(lines), job.state, job.reason]))
"""


@pytest.mark.slow
def test_ctrl_c_leaves_a_job_that_another_process_finds_and_stops(laptop: Laptop) -> None:
    environ, folder = {**laptop.environ, "HF_TOKEN": ""}, laptop.home.parent
    with subprocess.Popen(
        [sys.executable, "-c", FOREVER],
        env=environ,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        job = process.stdout.readline().strip()
        until(lambda: processes(f"{job}/job.json"), 90)
        process.send_signal(signal.SIGINT)
        shown = "".join(iter(process.stdout.readline, "WAITING\n"))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert shown.startswith("Starting") and f"Left running as {job}. Nothing was stopped." in shown
    assert (out, "KeyboardInterrupt" in err) == ("", True)
    assert processes(f"{job}/job.json")
    told = subprocess.run(
        [sys.executable, "-c", FROM_ELSEWHERE, job],
        env=environ,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    before, late, _, state, reason = json.loads(told.stdout)
    assert before in {"queued", "running"} and "has not ended within 0.5 s" in late
    assert (state, reason) == ("cancelled", "user")
    assert processes(f"{job}/job.json") == {}


def test_a_model_is_exported_with_the_errors_of_the_terminal(home: Path) -> None:
    model = write_model(home / "tiny")
    with pytest.raises(hubtrain.BadConfig, match="say in which form: gguf, merged, or ollama"):
        hubtrain.export(model)
    with pytest.raises(hubtrain.BadConfig, match="no setting 'ggu'"):
        hubtrain.export(model, ggu="f32")
    with pytest.raises(hubtrain.BadConfig, match="is a whole model already") as refused:
        hubtrain.export(model, merged=True, output_folder=home / "out")
    assert refused.value.fix == "gguf"
    done = hubtrain.export(model, gguf="f32", output_folder=home / "out")
    assert done["folder"] == str(home / "out") and (home / "out" / done["file"]).stat().st_size


def test_what_a_job_says_of_itself_is_only_shown(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job, evil = running(), "<img src=x onerror=alert(1)>\x1b[2J"
    gone = Observed(stage="gone", alive=False, costing=False, at=START, source="laptop")
    failed = Failed(reason=EndReason.OOM, message=evil, detail=evil, at=START, seq=4)
    Client().records.add("k4x7qp", [failed, gone])
    assert job.refresh().watch() is job
    shown = capsys.readouterr().out
    assert "Failed (oom)" in shown and "loss 2.5" in shown and "cost nothing" in shown
    assert "\x1b" not in shown and r"\x1b[2J" in shown
    record = Client().record("k4x7qp")
    page = cell(view_of(record, START), "")
    assert "<img" not in page and "&lt;img" in page and page.count("<svg") > 0


def test_who_has_seen_enough_stops_looking(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = running()
    assert job.watch(until=lambda job: job.progress >= 0.25) is job
    assert (job.state, capsys.readouterr().out.count("Running")) == ("running", 1)


def test_without_a_model_there_is_nobody_to_ask(home: Path) -> None:
    with pytest.raises(hubtrain.BadConfig, match="k4x7qp has made no model"):
        running().ask("Hello?")
    with pytest.raises(hubtrain.BadConfig, match="the question is to be like"):
        ANY.Job.ask(running(), 7)


def test_a_sample_is_written_once(home: Path) -> None:
    files = hubtrain.init("tabular", home / "first")
    assert [file.name for file in files] == ["job.yml", "fruit.csv"]
    assert hubtrain.check(config=files[0], data_path=files[1]).ok
    with pytest.raises(hubtrain.BadConfig, match=r"job\.yml"):
        hubtrain.init("tabular", home / "first")
