"""Jobs whose Docker engine is restarted: one of the test's own, with both of its ways."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from benches.docker import DockerBench
from standins.bench import Bench
from standins.containers import left_open, need_engine, worker_image
from standins.engine import OwnEngine, own_engine
from standins.laptop import Laptop
from standins.localhub import HubServer
from standins.waiting import until
from tiny_llm import chats, write_model, write_rows

from backends.handle import Handle
from worker.errors import HubUnreachable

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(900), left_open]

LIVE = ("--live-restore",)
"""Containers go on without their engine. Else it ends them as it ends, or as it starts again."""

WAYS = [
    pytest.param(LIVE, signal.SIGTERM, id="live, in order"),
    pytest.param(LIVE, signal.SIGKILL, id="live, killed"),
    pytest.param((), signal.SIGTERM, id="in order"),
    pytest.param((), signal.SIGKILL, id="killed"),
]


@pytest.fixture(scope="module")
def own() -> Iterator[OwnEngine]:
    need_engine()
    with own_engine() as own:
        own.take("python:3.11-slim")
        yield own


@pytest.fixture
def bench(
    request: pytest.FixtureRequest,
    own: OwnEngine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Bench]:
    monkeypatch.setenv("DOCKER_HOST", own.address)
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path / "home"))
    with DockerBench.open(request) as bench:
        yield bench
    gc.collect()


@pytest.mark.parametrize(("live", "number"), WAYS)
def test_no_line_is_lost_and_the_end_is_known(
    bench: Bench, own: OwnEngine, live: tuple[str, ...], number: signal.Signals
) -> None:
    own.stop()
    own.start(*live)
    _, handle = bench.launch(bench.job(lines=60))
    seen: list[str] = []
    reader = threading.Thread(target=follow, args=(bench, handle, seen))
    reader.start()
    until(lambda: "line 5" in seen)
    own.stop(number)
    with pytest.raises(HubUnreachable):
        bench.backend.status(handle)
    own.start(*live)
    reader.join(60)
    assert bench.backend.status(handle).alive is bool(live)
    if live:
        until(lambda: "line 59" in list(bench.backend.logs(handle)), 60)
    wrote = list(bench.backend.logs(handle))
    assert seen == wrote[: len(seen)]
    assert [line for line in wrote if line.startswith("line ")] == [
        f"line {n}" for n in range(len(wrote) - 1)
    ]
    bench.backend.cancel(handle)
    bench.backend.remove(handle)
    assert own.docker("ps", "--all", "--quiet") == ""


def follow(bench: Bench, handle: Handle, seen: list[str]) -> None:
    with suppress(HubUnreachable):
        seen.extend(bench.backend.logs(handle, follow=True))


@pytest.fixture
def laptop(shared_hub: HubServer, own: OwnEngine, tmp_path: Path) -> Laptop:
    own.take(worker_image())
    write_model(tmp_path / "tiny")
    write_rows(tmp_path / "chats.jsonl", chats(20))
    return Laptop(tmp_path / "home", shared_hub)


def test_a_watch_outlives_an_engine_that_is_restarted(laptop: Laptop, own: OwnEngine) -> None:
    own.stop()
    own.start(*LIVE)
    client = laptop.start(*train("live"), DOCKER_HOST=own.address)
    step(laptop, "live")
    own.stop()
    own.start(*LIVE)
    said, _ = client.communicate(timeout=600)
    assert client.returncode == 0, said
    assert said.index("Not heard of since") < said.index("answers again") < said.index("Succeeded")
    assert (laptop.home.parent / "live" / "model.safetensors").exists()

    own.stop()
    own.start()
    client = laptop.start(*train("ended"), DOCKER_HOST=own.address)
    step(laptop, "ended")
    own.stop()
    own.start()
    said, _ = client.communicate(timeout=600)
    assert client.returncode == 1, said
    assert "reason: preempted" in said and "hubtrain resume" in said
    for job in laptop.jobs():
        assert laptop.run("rm", job["job"]).code == 0
    assert own.docker("ps", "--all", "--quiet") == ""


def train(project: str) -> tuple[str, ...]:
    return (
        *("llm", "--train", "--trainer", "sft", "--model", "./tiny", "--data-path", "chats.jsonl"),
        *("--samples", "0", "--model-max-length", "64", "--max-steps", "20"),
        *("--project", project, "--backend", "docker", "--docker-network", "host"),
    )


def step(laptop: Laptop, project: str) -> None:
    """Wait until a job has done a step."""

    def done() -> bool:
        found = next((j for j in laptop.jobs() if j["project"] == project), {})
        return bool(found.get("step"))

    until(done, 300)
