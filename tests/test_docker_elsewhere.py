"""Jobs on a Docker engine that is elsewhere: behind a real sshd, and at a port.

It is the engine of this machine all the same, but nothing tells hubtrain so.
"""

from __future__ import annotations

import gc
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from benches.docker import DockerBench
from standins.bench import Bench
from standins.containers import docker, left_open, need_engine, worker_image
from standins.laptop import Laptop
from standins.localhub import HubServer
from standins.sshd import NAME, LoginNode, login_node
from tiny_llm import chats, write_model, write_rows

from backends.docker.engine import engine
from backends.docker.tunnel import SOCKET
from backends.errors import PlanRefused
from backends.handle import Handle
from worker.errors import HubUnreachable

BEHIND_SSH = f"ssh://{NAME}"


@pytest.fixture(scope="module")
def node() -> Iterator[LoginNode]:
    need_engine()
    with login_node() as node:
        yield node


@pytest.fixture
def bench(
    request: pytest.FixtureRequest,
    node: LoginNode,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Bench]:
    monkeypatch.setenv("PATH", node.path)
    monkeypatch.setenv("DOCKER_HOST", BEHIND_SSH)
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path / "home"))
    with DockerBench.open(request) as bench:
        yield bench


@left_open
def test_a_container_lives_behind_ssh(bench: Bench, node: LoginNode) -> None:
    spec = bench.job(lines=40)
    request, handle = bench.launch(spec)
    assert str(handle) == f"docker://{BEHIND_SSH}/{request.name}"
    assert bench.backend.find(request) == handle and bench.backend.recall(handle) == spec
    seen: list[str] = []
    with pytest.raises(HubUnreachable, match="engine"):
        follow(bench, handle, seen, {"line 10": node.hang_up})
    gc.collect()
    follow(bench, handle, seen, {"line 39": lambda: bench.backend.cancel(handle)})
    assert seen == list(bench.backend.logs(handle))
    assert not bench.backend.status(handle).alive
    bench.backend.remove(handle)
    assert bench.backend.find(request) is None


def follow(
    bench: Bench, handle: Handle, seen: list[str], then: dict[str, Callable[[], None]]
) -> None:
    """Add the lines of a container to those that were seen, and act on some."""
    for line in bench.backend.logs(handle, skip=len(seen), follow=True):
        seen.append(line)
        then.get(line, lambda: None)()


@left_open
def test_an_engine_out_of_reach_is_told_in_the_words_of_what_failed(node: LoginNode) -> None:
    with pytest.raises(HubUnreachable, match=r"No Docker engine answers at \S+: Connection ref"):
        connect("tcp://127.0.0.1:9")
    with pytest.raises(HubUnreachable, match=r"No way to the Docker engine at .* refused") as no:
        connect("ssh://ann@127.0.0.1:9")
    assert no.value.fix == "Try it: ssh -p 9 ann@127.0.0.1"
    with pytest.raises(PlanRefused, match="names no host"):
        connect("ssh://")
    with (
        node.forwarded(f"{node.folder}/nobody-listens") as there,
        pytest.raises(HubUnreachable, match="No Docker engine answers"),
    ):
        connect(f"tcp://{there}")
    gc.collect()


@left_open
def test_an_ssh_that_does_not_end_is_ended(
    node: LoginNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", node.deaf())
    with engine(BEHIND_SSH) as reached:
        assert reached.ping()
        ways = [one for one in psutil.Process().children() if one.name() == "ssh"]
        assert len(ways) == 1
    assert not ways[0].is_running()
    gc.collect()


def connect(address: str) -> None:
    with engine(address):
        pytest.fail("it answered")


@pytest.fixture(scope="module")
def laptop(
    shared_hub: HubServer, node: LoginNode, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Laptop]:
    worker_image()
    folder = tmp_path_factory.mktemp("laptop")
    api = shared_hub.api()
    api.create_repo("ann/tiny", exist_ok=True)
    api.upload_folder(repo_id="ann/tiny", folder_path=write_model(folder / "tiny"))
    write_rows(folder / "chats.jsonl", chats(20))
    laptop = Laptop(folder / "home", shared_hub)
    yield laptop
    for job in laptop.jobs():
        laptop.run("rm", job["job"], PATH=node.path)


def train(project: str, *more: str, model: str = "ann/tiny") -> tuple[str, ...]:
    return (
        *("llm", "--train", "--trainer", "sft", "--model", model, "--data-path", "chats.jsonl"),
        *("--samples", "0", "--model-max-length", "64", "--max-steps", "2", "--project", project),
        *("--backend", "docker", "--docker-network", "host", *more),
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_whole_job_on_an_engine_at_a_port(laptop: Laptop, node: LoginNode) -> None:
    with node.forwarded(SOCKET) as there:
        far = {"DOCKER_HOST": f"tcp://{there}"}
        refused = laptop.run(*train("far"), **far)
        assert refused.code == 2 and "--push-to-hub" in refused.out
        ran = laptop.run(*train("far", "--push-to-hub", "--json"), **far)
        assert ran.code == 0, ran.err + ran.out
        trained_elsewhere(laptop, ran.document, f"tcp://{there}")
        # By its handle, though this terminal's Docker is another engine now.
        assert laptop.run("rm", ran.document["job"]).code == 0
    assert docker("ps", "--all", "--quiet", "--filter", f"name={ran.document['job']}") == ""


@pytest.mark.campaign
@pytest.mark.timeout(900)
def test_a_whole_job_by_a_context_that_leads_through_ssh(laptop: Laptop, node: LoginNode) -> None:
    told = {"PATH": node.path, "DOCKER_CONFIG": str(laptop.home.parent / "docker")}
    create = ("docker", "context", "create", "far", "--docker", f"host={BEHIND_SSH}")
    for command in (create, ("docker", "context", "use", "far")):
        subprocess.run(command, check=True, capture_output=True, env=os.environ | told)
    refused = laptop.run(*train("behind", "--push-to-hub", model="./tiny"), **told)
    assert refused.code == 2 and "hf upload" in refused.out
    ran = laptop.run(*train("behind", "--push-to-hub", "--json"), **told)
    assert ran.code == 0, ran.err + ran.out
    trained_elsewhere(laptop, ran.document, "far")
    assert laptop.run("rm", ran.document["job"], **told).code == 0
    assert docker("ps", "--all", "--quiet", "--filter", f"name={ran.document['job']}") == ""


def trained_elsewhere(laptop: Laptop, job: Any, place: str) -> None:
    """Check that a job's model is on the Hub, and that its container saw no folder from here."""
    name, project = f"hubtrain-{job['job']}", job["project"]
    assert job["handle"] == f"docker://{place}/{name}"
    assert laptop.hub.api().file_exists(f"ann/{project}", "model.safetensors")
    assert not (laptop.home.parent / project).exists()
    kept = docker("inspect", name)
    assert '"Binds": null' in kept and '"Mounts": []' in kept
    assert laptop.hub.tokens["ann"] not in kept
