"""The local Hub with `--runner docker`: Dockerfiles of Spaces are really built and run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from standins.containers import docker, need_engine, worker_image
from standins.laptop import Laptop
from standins.localhub import HubServer
from standins.spaces import SERVE, new_space, visit, wait_for
from standins.waiting import until
from tiny_llm import chats, write_model, write_rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DOCKERFILE = f"""FROM python:3.11-slim
RUN echo this really runs > /made
WORKDIR /app
COPY . .
{SERVE}
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    need_engine()
    data = tmp_path_factory.mktemp("hub") / "data"
    server = HubServer(data, options=("--runner", "docker")).start()
    yield server
    server.stop()
    assert containers(server) == []


def containers(hub: HubServer) -> list[str]:
    """Return the names of all containers of a Hub, also of those that have ended."""
    ours = f"label=localhub={hub.data}"
    return docker("ps", "--all", "--filter", ours, "--format", "{{.Names}}").split()


def test_a_space_is_built_runs_rests_and_is_gone(hub: HubServer) -> None:
    api = hub.api()
    secrets = [{"key": "TOLD", "value": "in confidence"}]
    name = new_space(hub, files={"Dockerfile": DOCKERFILE}, space_secrets=secrets)
    wait_for(hub, name, seconds=120)
    found = visit(hub, name, "/env").json()
    assert found["TOLD"] == "in confidence" and found["SPACE_ID"] == name
    assert found["PATH"].startswith("/usr/local/sbin"), "the image's own"
    (container,) = containers(hub)
    assert docker("exec", container, "cat", "/made") == "this really runs"
    assert docker("exec", container, "id", "-u") == "1000"
    built = "".join(api.fetch_space_logs(name, build=True))
    assert "RUN echo this really runs" in built and "--> DONE" in built
    assert "hello from app" in "".join(api.fetch_space_logs(name))

    api.pause_space(name)
    until(lambda: containers(hub) == [])
    api.restart_space(name)
    wait_for(hub, name, seconds=60)
    assert visit(hub, name).json() == "hello"
    assert "".join(api.fetch_space_logs(name, build=True)) == built, "its image was there"
    api.delete_repo(name, repo_type="space")
    until(lambda: containers(hub) == [])


def test_a_build_that_fails_says_so_with_its_log(hub: HubServer) -> None:
    wrong = DOCKERFILE.replace("> /made", "&& exit 3")
    name = new_space(hub, files={"Dockerfile": wrong})
    runtime = wait_for(hub, name, "BUILD_ERROR", seconds=60)
    assert "Job failed with exit code: 1" in runtime.raw["errorMessage"]
    assert "returned a non-zero code: 3" in "".join(hub.api().fetch_space_logs(name, build=True))
    assert containers(hub) == []


def test_a_killed_hub_leaves_nothing_that_the_next_does_not_find(hub: HubServer) -> None:
    name = new_space(hub, files={"Dockerfile": DOCKERFILE})
    wait_for(hub, name, seconds=60)
    (container,) = containers(hub)
    hub.kill9()
    stray = f"--label=localhub={hub.data}"
    docker("run", "--detach", stray, "--name=space-stray", "python:3.11-slim", "sleep", "600")
    hub.start()
    until(lambda: containers(hub) == [container])
    assert visit(hub, name).json() == "hello", "it went on, and the Hub knows it"
    hub.api().delete_repo(name, repo_type="space")
    until(lambda: containers(hub) == [])


def test_the_worker_trains_in_a_space_that_was_really_built(hub: HubServer, tmp_path: Path) -> None:
    worker_image()  # whose layers are those of the Space
    laptop = Laptop(tmp_path / "home", hub)
    api = hub.api()
    api.create_repo("ann/tiny")
    api.upload_folder(repo_id="ann/tiny", folder_path=write_model(tmp_path / "tiny"))
    write_rows(tmp_path / "chats.jsonl", chats(20))
    ran = laptop.run(
        *("llm", "--train", "--trainer", "sft", "--model", "ann/tiny", "--data-path"),
        *("chats.jsonl", "--project", "bot", "--max-steps", "2", "--samples", "0"),
        *("--model-max-length", "64", "--backend", "spaces-cpu", "--push-to-hub", "--json"),
    )
    assert ran.code == 0, ran.err + ran.out
    assert api.file_exists("ann/bot", "model.safetensors")
    until(lambda: containers(hub) == [])
    assert laptop.run("rm", ran.document["job"]).code == 0
