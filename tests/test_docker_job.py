"""Jobs in containers, as a user types them: a real engine, the real image, a real model.

The image is that of `tests/test_image.py`, built once. What the
engine alone does is in `tests/test_backend_docker.py`.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from standins.bench import CANARY
from standins.containers import docker, worker_image
from standins.laptop import Laptop, finish
from standins.localhub import HubServer
from standins.waiting import until
from tiny_llm import chats, write_model, write_rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def laptop(shared_hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    worker_image()
    folder = tmp_path_factory.mktemp("laptop")
    write_model(folder / "tiny")
    write_rows(folder / "chats.jsonl", chats(20))
    laptop = Laptop(folder / "home", shared_hub)
    yield laptop
    for job in laptop.jobs():
        laptop.run("rm", job["job"])


def train(*more: str, model: str = "./tiny") -> tuple[str, ...]:
    return (
        *("llm", "--train", "--trainer", "sft", "--model", model, "--data-path", "chats.jsonl"),
        *("--samples", "0", "--model-max-length", "64", "--backend", "docker", *more),
    )


def name_of(job: str) -> str:
    return f"hubtrain-{job}"


def containers() -> list[str]:
    return docker("ps", "--all", "--format", "{{.Names}}").split()


def test_a_job_trains_here_and_nothing_that_docker_keeps_has_its_secrets(
    laptop: Laptop, tmp_path: Path
) -> None:
    ran = laptop.run(*train("--project", "bot", "--max-steps", "2", "--json"), WANDB_API_KEY=CANARY)
    assert ran.code == 0, ran.err + ran.out
    job = ran.document
    model = laptop.home.parent / "bot"
    assert (job["state"], job["model"]) == ("succeeded", str(model))
    assert {f.stat().st_uid for f in model.iterdir()} == {laptop.home.stat().st_uid}
    assert {"model.safetensors", "README.md", "events.jsonl"} <= {f.name for f in model.iterdir()}
    container = name_of(job["job"])
    kept = docker("inspect", container) + docker("logs", container)
    image = json.loads(docker("inspect", container))[0]["Image"]
    kept += docker("inspect", image) + docker("history", "--no-trunc", image)
    token = laptop.hub.tokens["ann"]
    assert token not in kept and CANARY not in kept
    written = {line[2:] for line in docker("diff", container).splitlines()}
    assert not {path for path in written if not path.startswith(("/tmp", "/home/user", "/home"))}
    for folder in ("/tmp", "/home/user/app"):
        docker("cp", f"{container}:{folder}", str(tmp_path / Path(folder).name))
    for file in filter(Path.is_file, tmp_path.rglob("*")):
        held = file.read_bytes()
        assert token.encode() not in held and CANARY.encode() not in held, file

    again = laptop.run(*train("--project", "bot", "--max-steps", "2", "--json"))
    assert (again.code, again.document["job"]) == (0, job["job"])
    assert laptop.run("rm", job["job"]).code == 0
    assert container not in containers()
    assert (model / "model.safetensors").exists()


def test_a_container_outlives_a_client_that_is_killed(laptop: Laptop) -> None:
    client = laptop.start(*train("--project", "long", "--max-steps", "100000"))
    job = until(lambda: next((j for j in laptop.jobs() if j["project"] == "long"), None))["job"]
    until(lambda: _now(laptop, job)["state"] == "running", 120)
    client.send_signal(signal.SIGKILL)
    client.communicate()

    follower = laptop.start("logs", "-f", job)
    until(lambda: _now(laptop, job)["state"] == "running" and _now(laptop, job)["step"], 120)
    assert laptop.run("cancel", job).code == 0
    said, _ = follower.communicate(timeout=60)
    assert follower.returncode == 1 and "step" in said
    assert _now(laptop, job)["state"] == "cancelled"
    assert docker("inspect", "--format", "{{.State.Status}}", name_of(job)) == "exited"


def _now(laptop: Laptop, job: str) -> Any:
    said = laptop.run("status", job, "--json")
    return said.document


def test_a_job_is_not_begun_in_less_memory_than_it_needs(laptop: Laptop) -> None:
    ran = laptop.run(*train("--project", "small", "--docker-memory", "0.3", "--dry-run"))
    assert ran.code == 2 and "cpu has 0.3 GB" in ran.out and "--docker-memory 0." in ran.out


def test_a_trainer_that_is_killed_for_its_memory_is_told_as_that(laptop: Laptop) -> None:
    """The check lets no job begin in too little, so the rest is taken away once it has begun."""
    client = laptop.start(*train("--project", "tight", "--max-steps", "50", "--json"))
    job = until(lambda: next((j for j in laptop.jobs() if j["project"] == "tight"), None), 120)
    until(lambda: name_of(job["job"]) in docker("ps", "--format", "{{.Names}}").split(), 120)
    docker("update", "--memory=300m", "--memory-swap=300m", name_of(job["job"]))
    ran = finish(client)
    assert ran.code == 1, ran.err + ran.out
    assert ran.document["reason"] == "oom", ran.out
    assert "this machine has 0.3 GB" in ran.document["message"]
    supervisor = docker("inspect", "--format", "{{.State.ExitCode}}", name_of(job["job"]))
    assert supervisor != "137", "it lived, and told it"


@pytest.mark.campaign
def test_a_job_on_tables_has_an_image_without_torch(laptop: Laptop) -> None:
    image = worker_image("tabular")
    rows = "".join(f"{n},{n % 7},{'yes' if n % 7 > 3 else 'no'}\n" for n in range(200))
    (laptop.home.parent / "table.csv").write_text("a,b,target\n" + rows)
    ran = laptop.run(
        *("tabular", "--train", "--data-path", "table.csv", "--target-column", "target"),
        *("--num-trials", "1", "--project", "table", "--backend", "docker", "--json"),
    )
    assert ran.code == 0, ran.err + ran.out
    assert docker("inspect", "--format", "{{.Config.Image}}", name_of(ran.document["job"])) == image
    listed = json.loads(docker("run", "--rm", image, "pip", "list", "--format", "json"))
    names = {one["name"].lower() for one in listed}
    assert "scikit-learn" in names and "torch" not in names
    assert int(docker("image", "inspect", "--format", "{{.Size}}", image)) < 1.3e9
