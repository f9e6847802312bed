"""The main job with the real command line, against a local Hub whose Spaces really run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
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
FOREVER = ("--epochs", "100000", "--model-max-length", "64")


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def laptop(hub_server: Any, tmp_path: Path, tiny_model: Path) -> Iterator[Laptop]:
    """A laptop with data, on a Hub of its own that has the base model."""
    yield from _laptop(hub_server(), tmp_path, tiny_model)


def _laptop(hub: HubServer, folder: Path, model: Path) -> Iterator[Laptop]:
    hub.api().create_repo(MODEL, exist_ok=True)
    hub.api().upload_folder(repo_id=MODEL, folder_path=model)
    write_rows(folder / "chats.jsonl", chats(40))
    yield Laptop(folder / "home", hub)


def train(*more: str, project: str = "bot", backend: str = "spaces-cpu") -> tuple[str, ...]:
    return (
        *("llm", "--train", "--trainer", "sft", "--peft", "--model", MODEL),
        *("--data-path", "chats.jsonl", "--project-name", project, "--backend", backend),
        *("--push-to-hub", "--username", "ann", "--json", *SMALL, *more),
    )


def spaces(hub: HubServer) -> list[str]:
    return [space.id for space in hub.api().list_spaces(author="ann")]


def stage(hub: HubServer) -> str:
    (space,) = spaces(hub)
    return str(hub.api().get_space_runtime(space).stage)


def costing(hub: HubServer) -> list[Any]:
    return [bill for bill in hub.admin("GET", "bills") if bill["costing"]]


def running_job(laptop: Laptop) -> dict[str, Any]:
    """Wait until the laptop's one job trains, and return it."""

    def trains() -> Any:
        return next((j for j in laptop.jobs() if j["step"]), None)

    job: dict[str, Any] = until(trains, 90, every=0.5)
    return job


def test_the_main_job(laptop: Laptop) -> None:
    said = laptop.run(*train(*STEPS, "--valid-split", "0.1"))
    assert said.code == 0, said.err + said.out
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


def _again_it_is_the_same(laptop: Laptop, job: dict[str, Any]) -> None:
    """The same command tells the good end; another one does not write over the model."""
    again = laptop.run(*train(*STEPS, "--valid-split", "0.1"))
    assert (again.code, again.document["job"]) == (0, job["job"]), again.out
    assert len(spaces(laptop.hub)) == 1
    other = laptop.run(*train(*STEPS))
    assert other.code == 2
    assert "ann/bot already holds" in str(other.document)


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


def test_the_token_is_in_no_argument_of_any_process(laptop: Laptop) -> None:
    canary = laptop.hub.tokens["ann"]
    process = laptop.start(*train(*STEPS), "--token", canary, HF_TOKEN="")
    seen = set()
    while process.poll() is None:
        mine = {words for words in processes(canary).values() if "--token" not in words}
        seen |= mine
    said = finish(process)
    assert said.code == 0, said.err
    assert seen == set()


def test_a_trainer_that_is_killed(laptop: Laptop) -> None:
    process = laptop.start(*train(*FOREVER))
    job = running_job(laptop)
    pid = trainer_of(job["job"])
    assert pid is not None
    send(pid, signal.SIGKILL)
    said = finish(process)
    assert said.code == 1
    assert (said.document["state"], said.document["reason"]) == ("failed", "worker_died")
    assert stage(laptop.hub) == "PAUSED"
    branch = f"hubtrain-{job['job']}"
    assert "events.jsonl" in laptop.hub.api().list_repo_files("ann/bot", revision=branch)


def test_a_trainer_that_hangs(laptop: Laptop) -> None:
    process = laptop.start(*train(*FOREVER, "--hang-minutes", "0.5"))
    pid = trainer_of(running_job(laptop)["job"])
    assert pid is not None
    send(pid, signal.SIGSTOP)
    said = finish(process)
    assert (said.code, said.document["reason"]) == (1, "hung")
    assert stage(laptop.hub) == "PAUSED"
    assert trainer_of(said.document["job"]) is None


def test_a_deadline(laptop: Laptop) -> None:
    said = laptop.run(*train(*FOREVER, "--max-duration", "25s"))
    assert (said.code, said.document["reason"]) == (1, "deadline")
    assert stage(laptop.hub) == "PAUSED"


def test_a_push_that_is_refused_three_times(laptop: Laptop) -> None:
    laptop.hub.fault({"status": 503}, method="POST", path=r"/models/ann/bot/commit/main", times=3)
    said = laptop.run(*train(*STEPS))
    assert (said.code, said.document["reason"]) == (0, "ok"), said.out
    assert len(laptop.hub.requests(r"/models/ann/bot/commit/main", "POST")) >= 4


def test_a_push_that_is_never_accepted(laptop: Laptop) -> None:
    laptop.hub.fault({"status": 403}, method="POST", path=r"/models/ann/bot/commit", times=None)
    said = laptop.run(*train(*STEPS))
    assert (said.code, said.document["reason"]) == (1, "push_failed"), said.out
    assert stage(laptop.hub) == "PAUSED"
    assert said.document["costing"] is False


def test_a_hub_that_restarts_in_the_middle(laptop: Laptop) -> None:
    process = laptop.start(*train("--model-max-length", "64", "--max-steps", "120"))
    running_job(laptop)
    laptop.hub.kill9()
    laptop.hub.restart()
    said = finish(process)
    assert (said.code, said.document["reason"]) == (0, "ok"), said.err + said.out
    assert len(spaces(laptop.hub)) == 1


def test_cancel_and_remove(laptop: Laptop) -> None:
    process = laptop.start(*train(*FOREVER))
    job = running_job(laptop)
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
    assert spaces(laptop.hub) == []
    assert laptop.jobs() == []


def test_another_laptop_follows_and_stops_it(laptop: Laptop, tmp_path: Path) -> None:
    detached = laptop.run(*train(*FOREVER, "--detach")).document
    other = Laptop(tmp_path / "other", laptop.hub)
    until(lambda: other.run("status", detached["handle"], "--json").document["step"], 90)
    (cancelled,) = other.run("cancel", detached["handle"], "--json").document
    assert cancelled["state"] == "cancelled"
    assert laptop.run("status", detached["job"], "--json").document["state"] == "cancelled"


def test_out_of_memory(hub_server: Any, tmp_path: Path, tiny_model: Path) -> None:
    hub = hub_server(options=("--flavor", "cpu-basic:memory=1.0Gi"))
    (laptop,) = _laptop(hub, tmp_path, tiny_model)
    rows = ("--batch-size", "2048", "--model-max-length", "512", "--no-packing", "--epochs", "100")
    write_rows(tmp_path / "chats.jsonl", chats(5000))
    said = laptop.run(*train(*rows))
    assert (said.code, said.document["reason"]) == (1, "oom"), said.out
    assert stage(hub) == "PAUSED"


def test_paid_hardware_is_asked_for_last_and_given_back(laptop: Laptop) -> None:
    said = laptop.run(*train(*STEPS, backend="spaces-t4"))
    assert said.code == 0, said.out
    asked = laptop.hub.requests(r"/api/spaces/ann/.*/hardware", "POST")
    assert len(asked) == 1
    later = [r for r in laptop.hub.requests() if r["at"] > asked[0]["at"] and r["user"] == "ann"]
    assert all("/commit/" not in r["path"] or "/models/" in r["path"] for r in later)
    assert said.document["flavor"] == "t4-small"
    assert costing(laptop.hub) == []


def test_a_second_submit_sends_no_data(laptop: Laptop) -> None:
    assert laptop.run(*train(*STEPS, project="one")).code == 0
    laptop.hub.forget_requests()
    assert laptop.run(*train(*STEPS, project="two")).code == 0
    sent = [r for r in laptop.hub.requests(r"datasets/") if r["method"] in {"PUT", "POST"}]
    assert [r for r in sent if "commit" in r["path"] or "lfs" in r["path"]] == []


def test_the_same_command_twice_is_one_job(laptop: Laptop) -> None:
    first = laptop.run(*train(*FOREVER, "--detach"))
    second = laptop.run(*train(*FOREVER, "--detach"))
    assert first.document["job"] == second.document["job"]
    assert len(spaces(laptop.hub)) == 1
    assert laptop.run("cancel", first.document["job"]).code == 0


def test_a_laptop_killed_at_every_step_of_submit(laptop: Laptop) -> None:
    """However far it came, the next try makes it one Space, and nothing costs without a job."""
    for nth in range(1, 30):
        project = f"try{nth}"
        words = train(*FOREVER, "--detach", project=project, backend="spaces-t4")
        over = killed_at(laptop, nth, *words)
        again = laptop.run(*words)
        assert again.code == 0, f"{nth}: {again.err}"
        mine = [s for s in spaces(laptop.hub) if s.startswith(f"ann/{project}-")]
        assert len(mine) == 1, f"killed at {nth}: {mine}"
        assert laptop.run("cancel", again.document["job"]).code == 0
        assert costing(laptop.hub) == [], f"killed at {nth}"
        assert laptop.run("rm", again.document["job"]).code == 0
        if over:
            break
    assert nth > 4, "there were steps to be killed at"


def test_gc_finds_what_a_lost_laptop_left(laptop: Laptop, tmp_path: Path) -> None:
    job = laptop.run(*train(*FOREVER, "--detach", backend="spaces-t4")).document
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
