"""The main job with the real command line, against a local Hub whose Spaces really run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from standins.laptop import Laptop, Said, finish, killed_at, processes, send, trainer_of
from standins.localhub import HubServer
from standins.waiting import until
from tiny_llm import chats, write_model, write_rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

MODEL = "ann/tiny"
SMALL = ("--batch-size", "1", "--gradient-accumulation", "1")
STEPS = ("--epochs", "1", "--model-max-length", "64", "--max-steps", "6")

SCRIPT = """
import os, pathlib, sys, time
began, end = map(pathlib.Path, sys.argv[1:])
began.touch()
while not end.exists():
    time.sleep(0.1)
(pathlib.Path(os.environ["HUBTRAIN_OUTPUT"]) / "result.txt").write_text("42")
"""
"""Runs until a file is there: as long as a test wants, for no more computing than that."""


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("tiny"))


@dataclass
class Desk:
    """A laptop with a script, and a say in when it ends."""

    laptop: Laptop
    folder: Path

    def words(self, *more: str, project: str, backend: str = "spaces-cpu") -> tuple[str, ...]:
        """Return the command that runs the script."""
        return (
            *("spacerunner", "--script-path", "script.py", "--project-name", project),
            *("--backend", backend, "--username", "ann", "--max-duration", "10m", "--json", *more),
            *("--", str(self.began), str(self.folder / "end")),
        )

    @property
    def began(self) -> Path:
        return self.folder / "began"

    def let_it_end(self) -> None:
        (self.folder / "end").touch()

    def running(self) -> dict[str, Any]:
        """Wait until the script runs, and return the laptop's one job."""
        until(self.began.exists, 90)
        (job,) = self.laptop.jobs()
        return dict(job)


def desk_at(hub: HubServer, folder: Path) -> Desk:
    (folder / "script.py").write_text(SCRIPT)
    return Desk(Laptop(folder / "home", hub), folder)


@pytest.fixture
def desk(shared_hub: HubServer, tmp_path: Path) -> Desk:
    """One on the Hub of all: whoever uses it takes a project of their own."""
    return desk_at(shared_hub, tmp_path)


@pytest.fixture
def own_desk(hub_server: Any, tmp_path: Path) -> Desk:
    """One on a Hub that is no one else's."""
    return desk_at(hub_server(), tmp_path)


def laptop_at(hub: HubServer, folder: Path, model: Path, rows: int = 40) -> Laptop:
    """Return a laptop with rows, on a Hub that has the base model."""
    hub.api().create_repo(MODEL)
    hub.api().upload_folder(repo_id=MODEL, folder_path=model)
    write_rows(folder / "chats.jsonl", chats(rows))
    return Laptop(folder / "home", hub)


def train(*more: str, project: str = "bot") -> tuple[str, ...]:
    return (
        *("llm", "--train", "--trainer", "sft", "--peft", "--model", MODEL),
        *("--data-path", "chats.jsonl", "--project-name", project, "--backend", "spaces-cpu"),
        *("--push-to-hub", "--username", "ann", "--json", *SMALL, *more),
    )


def spaces(hub: HubServer, project: str = "") -> list[str]:
    """Return the Spaces of a project, or all."""
    found = [space.id for space in hub.api().list_spaces(author="ann")]
    return [name for name in found if name.startswith(f"ann/{project}")]


def stage(hub: HubServer, project: str = "") -> str:
    (space,) = spaces(hub, project)
    return str(hub.api().get_space_runtime(space).stage)


def costing(hub: HubServer) -> list[Any]:
    return [bill for bill in hub.admin("GET", "bills") if bill["costing"]]


def test_the_main_job(hub_server: Any, tmp_path: Path, tiny_model: Path) -> None:
    laptop = laptop_at(hub_server(), tmp_path, tiny_model)
    canary = laptop.hub.tokens["ann"]
    process = laptop.start(*train(*STEPS, "--valid-split", "0.1"), "--token", canary, HF_TOKEN="")
    shown = _arguments_with(canary, process)
    said = finish(process)
    assert said.code == 0, said.err + said.out
    assert shown == set(), "the token is in no argument of any process"
    job = said.document
    assert (job["state"], job["reason"], job["step"]) == ("succeeded", "ok", 6)
    assert "valid_loss" in job["metrics"]
    assert job["costing"] is False
    assert stage(laptop.hub) == "PAUSED"
    assert processes(job["job"]) == {}
    api = laptop.hub.api()
    files = set(api.list_repo_files("ann/bot"))
    assert {"adapter_model.safetensors", "README.md", "events.jsonl", "hubtrain.json"} <= files
    assert api.model_info("ann/bot").private
    assert api.model_info("ann/bot").sha == job["commit"]
    _loads(laptop, "ann/bot")
    _no_secret_anywhere(laptop, said)
    _again_it_is_the_same(laptop, job)
    _another_project_sends_no_data(laptop)


def _arguments_with(canary: str, process: subprocess.Popen[str]) -> set[str]:
    """Return the command lines with a token while a process runs, but for its own."""
    seen = set()
    while process.poll() is None:
        seen |= {words for words in processes(canary).values() if "--token" not in words}
        time.sleep(0.02)
    return seen


def _again_it_is_the_same(laptop: Laptop, job: dict[str, Any]) -> None:
    """The same command tells the good end; another one does not write over the model."""
    again = laptop.run(*train(*STEPS, "--valid-split", "0.1"))
    assert (again.code, again.document["job"]) == (0, job["job"]), again.out
    assert len(spaces(laptop.hub)) == 1
    other = laptop.run(*train(*STEPS))
    assert other.code == 2
    assert "ann/bot already holds" in str(other.document)


def _another_project_sends_no_data(laptop: Laptop) -> None:
    """The rows are there from the first time."""
    laptop.hub.forget_requests()
    said = laptop.run(*train(*STEPS, "--detach", project="other"))
    assert said.code == 0, said.err
    sent = [r for r in laptop.hub.requests(r"datasets/") if r["method"] in {"PUT", "POST"}]
    assert [r for r in sent if "commit" in r["path"] or "lfs" in r["path"]] == []
    assert laptop.run("cancel", said.document["job"]).code == 0


def _loads(laptop: Laptop, model: str) -> None:
    """A stock client pulls the model from the Hub and runs it."""
    answered = laptop.run(
        "llm", "--inference", "--model", model, "--prompt", "hello", "--max-new-tokens", "4"
    )
    assert answered.code == 0, answered.err


def _no_secret_anywhere(laptop: Laptop, said: Said) -> None:
    canary = laptop.hub.tokens["ann"]
    assert canary not in said.out + said.err
    kept = [p for p in laptop.home.rglob("*") if p.is_file()]
    assert kept
    assert [p for p in kept if canary.encode() in p.read_bytes()] == []
    api = laptop.hub.api()
    repos = [
        *((space, "space") for space in spaces(laptop.hub)),
        *((m.id, "model") for m in api.list_models(author="ann")),
        *((d.id, "dataset") for d in api.list_datasets(author="ann")),
    ]
    assert len(repos) == 4
    for name, kind in repos:
        folder = Path(
            api.snapshot_download(name, repo_type=kind, cache_dir=laptop.home.parent / "c")
        )
        for path in (p for p in folder.rglob("*") if p.is_file()):
            assert canary.encode() not in path.read_bytes(), f"{name}: {path.name}"
    (space,) = spaces(laptop.hub)
    assert canary not in "".join(api.fetch_space_logs(space))
    assert canary not in json.dumps([v.value for v in api.get_space_variables(space).values()])
    assert not api.get_space_secrets(space), "a paused Space would keep them"
    assert "the trainer gets no token of the Hub" in "".join(api.fetch_space_logs(space))


def test_a_trainer_that_is_killed(desk: Desk) -> None:
    process = desk.laptop.start(*desk.words(project="killed"))
    job = desk.running()
    pid = trainer_of(job["job"])
    assert pid is not None
    send(pid, signal.SIGKILL)
    said = finish(process)
    assert said.code == 1
    assert (said.document["state"], said.document["reason"]) == ("failed", "worker_died")
    hub = desk.laptop.hub
    assert stage(hub, "killed") == "PAUSED"
    branch = f"hubtrain-{job['job']}"
    assert "events.jsonl" in hub.api().list_repo_files("ann/killed", revision=branch)


def test_a_trainer_that_hangs(desk: Desk) -> None:
    process = desk.laptop.start(*desk.words("--hang-minutes", "0.5", project="hung"))
    pid = trainer_of(desk.running()["job"])
    assert pid is not None
    send(pid, signal.SIGSTOP)
    said = finish(process)
    assert (said.code, said.document["reason"]) == (1, "hung")
    assert stage(desk.laptop.hub, "hung") == "PAUSED"
    assert trainer_of(said.document["job"]) is None


def test_a_deadline(desk: Desk) -> None:
    said = desk.laptop.run(*desk.words("--max-duration", "25s", project="late"))
    assert (said.code, said.document["reason"]) == (1, "deadline")
    assert stage(desk.laptop.hub, "late") == "PAUSED"


def test_a_push_that_is_refused_three_times(desk: Desk) -> None:
    hub, commits = desk.laptop.hub, r"/models/ann/refused/commit/main"
    hub.fault({"status": 503}, method="POST", path=commits, times=3)
    desk.let_it_end()
    said = desk.laptop.run(*desk.words(project="refused"))
    assert (said.code, said.document["reason"]) == (0, "ok"), said.out
    assert len(hub.requests(commits, "POST")) >= 4


def test_a_push_that_is_never_accepted(desk: Desk) -> None:
    hub = desk.laptop.hub
    hub.fault({"status": 403}, method="POST", path=r"/models/ann/never/commit", times=None)
    desk.let_it_end()
    said = desk.laptop.run(*desk.words(project="never"))
    assert (said.code, said.document["reason"]) == (1, "push_failed"), said.out
    assert stage(hub, "never") == "PAUSED"
    assert said.document["costing"] is False


def test_a_hub_that_restarts_in_the_middle(own_desk: Desk) -> None:
    hub = own_desk.laptop.hub
    process = own_desk.laptop.start(*own_desk.words(project="bot"))
    own_desk.running()
    hub.kill9()
    hub.restart()
    own_desk.let_it_end()
    said = finish(process)
    assert (said.code, said.document["reason"]) == (0, "ok"), said.err + said.out
    assert len(spaces(hub)) == 1


def test_cancel_and_remove(desk: Desk) -> None:
    laptop = desk.laptop
    process = laptop.start(*desk.words(project="cancelled"))
    job = desk.running()
    process.send_signal(signal.SIGINT)
    left = finish(process)
    assert left.code == 130
    assert trainer_of(job["job"]) is not None, "Ctrl-C leaves the job running"
    watching = laptop.start("logs", "-f", job["job"])
    assert watching.stdout is not None and watching.stdout.readline()
    watching.terminate()
    left = finish(watching)
    assert left.code == 130 and "Left running" in left.out
    assert trainer_of(job["job"]) is not None, "so does a signal to end"
    (cancelled,) = laptop.run("cancel", job["job"], "--json").document
    assert (cancelled["state"], cancelled["reason"]) == ("cancelled", "user")
    assert trainer_of(job["job"]) is None
    assert laptop.run("status", job["job"]).code == 0
    assert laptop.run("rm", job["job"]).code == 0
    assert spaces(laptop.hub, "cancelled") == []
    assert laptop.jobs() == []


def test_the_same_command_twice_is_one_job_that_another_laptop_stops(
    desk: Desk, tmp_path: Path
) -> None:
    laptop, words = desk.laptop, desk.words("--detach", project="twice")
    job = laptop.run(*words).document
    assert laptop.run(*words).document["job"] == job["job"]
    assert len(spaces(laptop.hub, "twice")) == 1
    until(desk.began.exists, 90)
    other = Laptop(tmp_path / "other", laptop.hub)
    followed = other.run("status", job["handle"], "--json").document
    assert (followed["state"], followed["phase"]) == ("running", "running script.py")
    (cancelled,) = other.run("cancel", job["handle"], "--json").document
    assert cancelled["state"] == "cancelled"
    assert laptop.run("status", job["job"], "--json").document["state"] == "cancelled"


def test_out_of_memory(hub_server: Any, tmp_path: Path, tiny_model: Path) -> None:
    hub = hub_server(options=("--flavor", "cpu-basic:memory=1.0Gi"))
    laptop = laptop_at(hub, tmp_path, tiny_model, rows=5000)
    rows = ("--batch-size", "2048", "--model-max-length", "512", "--no-packing", "--epochs", "100")
    said = laptop.run(*train(*rows))
    assert (said.code, said.document["reason"]) == (1, "oom"), said.out
    assert stage(hub) == "PAUSED"


def test_paid_hardware_is_asked_for_last_and_given_back(own_desk: Desk) -> None:
    hub = own_desk.laptop.hub
    own_desk.let_it_end()
    said = own_desk.laptop.run(*own_desk.words(project="paid", backend="spaces-t4"))
    assert said.code == 0, said.out
    asked = hub.requests(r"/api/spaces/ann/.*/hardware", "POST")
    assert len(asked) == 1
    later = [r for r in hub.requests() if r["at"] > asked[0]["at"] and r["user"] == "ann"]
    assert all("/commit/" not in r["path"] or "/models/" in r["path"] for r in later)
    assert said.document["flavor"] == "t4-small"
    assert costing(hub) == []


def test_a_laptop_killed_at_every_step_of_submit(own_desk: Desk) -> None:
    """However far it came, the next try makes it one Space, and nothing costs without a job."""
    laptop = own_desk.laptop
    for nth in range(1, 30):
        project = f"try{nth}"
        words = own_desk.words("--detach", project=project, backend="spaces-t4")
        over = killed_at(laptop, nth, *words)
        again = laptop.run(*words)
        assert again.code == 0, f"{nth}: {again.err}"
        mine = spaces(laptop.hub, f"{project}-")
        assert len(mine) == 1, f"killed at {nth}: {mine}"
        assert laptop.run("cancel", again.document["job"]).code == 0
        assert costing(laptop.hub) == [], f"killed at {nth}"
        assert laptop.run("rm", again.document["job"]).code == 0
        if over:
            break
    assert nth > 4, "there were steps to be killed at"


def test_gc_finds_what_a_lost_laptop_left(own_desk: Desk, tmp_path: Path) -> None:
    laptop = own_desk.laptop
    job = laptop.run(*own_desk.words("--detach", project="lost", backend="spaces-t4")).document
    pid = until(lambda: trainer_of(job["job"]), 90)
    other = Laptop(tmp_path / "other", laptop.hub)
    clean = other.run("gc", "--yes", "--json")
    assert clean.document["running"] == [job["handle"]], "a job that runs is no garbage"
    assert clean.code == 0
    assert pid == trainer_of(job["job"])
    assert laptop.run("cancel", job["job"]).code == 0
    assert other.run("gc", "--yes", "--json").document["stopped"] == []


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['hubtrain', 'llm', '--help']\n"
        "from orchestrator.terminal.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'transformers', 'datasets', 'gradio', 'trl'} & set(sys.modules)))"
    )
    out = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert out.splitlines()[-1] == "[]"
