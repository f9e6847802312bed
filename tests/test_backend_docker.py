"""What only containers have: an engine, an image, limits, folders by their own names."""

from __future__ import annotations

import dataclasses
import gc
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from benches.docker import DockerBench
from standins.bench import Bench
from standins.containers import left_open
from standins.waiting import until

from backends.base import Flavor
from backends.docker import Docker
from backends.docker.engine import address, engine, place
from backends.docker.options import DockerOptions
from backends.docker.request import Folder, plan
from backends.errors import LaunchFailed, PlanRefused
from backends.handle import Handle
from worker.contract import NO_SECRETS_RECEIVED, DataRef, EndReason, Machine, ModelRef
from worker.errors import HubUnreachable

HUNGRY = b"held = []\nwhile True:\n    held.append(bytearray(b'x') * 10_000_000)\n"


@pytest.fixture
def bench(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path / "home"))
    with DockerBench.open(request) as bench:
        yield bench


def machine(**more: object) -> Machine:
    return Machine.model_validate({"backend": "docker", "flavor": "cpu", **more})


def test_memory_that_runs_out_is_told_as_that(bench: Bench) -> None:
    spec = bench.job(machine=machine(options={"docker_memory": 0.05}))
    request = bench.plan(spec)
    files = {**request.files, "worker/__main__.py": HUNGRY}
    handle = bench.backend.launch(dataclasses.replace(request, files=files), {})
    status = until(lambda: None if (s := bench.backend.status(handle)).alive else s)
    assert status.reason is EndReason.OOM
    assert status.detail == "The container ran out of memory."


def test_a_gpu_that_is_not_there_leaves_no_container(bench: Bench) -> None:
    spec = bench.job(machine=machine(flavor="gpu", accelerators=1))
    request = bench.plan(spec)
    with pytest.raises(LaunchFailed, match=r"refused starting .*capabilities: \[\[gpu\]\]"):
        bench.backend.launch(request, {})
    assert bench.backend.find(request) is None
    with pytest.raises(PlanRefused, match="gives no GPU to its containers"):
        bench.backend.flavor("gpu")


def test_several_jobs_are_launched_at_once_and_each_is_one_container(bench: Bench) -> None:
    specs = [bench.job(lines=3) for _ in range(3)]
    with ThreadPoolExecutor(len(specs)) as pool:
        launched = list(pool.map(bench.launch, specs))
    for spec, (request, handle) in zip(specs, launched, strict=True):
        assert bench.backend.recall(handle) == spec and bench.backend.find(request) == handle
        until(partial(_wrote, bench, handle, "line 2"))
    assert len({request.image for request, _ in launched}) == 1


def _wrote(bench: Bench, handle: Handle, line: str) -> bool:
    return line in list(bench.backend.logs(handle))


def test_an_image_that_cannot_be_built_says_its_last_words(bench: Bench) -> None:
    request = bench.plan(bench.job())
    broken = request.files["Dockerfile"] + b"\nRUN echo so far so good && false\n"
    files = {**request.files, "Dockerfile": broken}
    with pytest.raises(LaunchFailed, match=r"(?s)could not be built:.*so far so good") as failed:
        bench.backend.launch(dataclasses.replace(request, files=files), {})
    assert failed.value.reason is EndReason.BUILD_ERROR


def test_a_launch_that_died_before_it_handed_the_secrets_is_done_again(bench: Bench) -> None:
    request = bench.plan(bench.job())
    with engine(request.place) as docker:
        docker.images.get(with_image(bench))
        dead = docker.containers.create(
            with_image(bench), ["python", "-c", f"exit({NO_SECRETS_RECEIVED})"], name=request.name
        )
        dead.start()
        dead.wait()
    assert bench.backend.find(request) is None
    handle = bench.backend.launch(request, {"HF_TOKEN": "x"})
    until(lambda: "line 4" in list(bench.backend.logs(handle)))


def with_image(bench: Bench) -> str:
    """Return an image that is there, with a `python`."""
    request, _ = bench.launch(bench.job())
    return str(request.image)


def test_a_worker_that_is_handed_nothing_ends_and_says_so_by_its_code() -> None:
    command = [sys.executable, "-m", "worker.container"]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, check=False)
    assert ran.returncode == NO_SECRETS_RECEIVED


def test_folders_are_seen_by_their_own_names(bench: Bench, tmp_path: Path) -> None:
    spec = bench.job(
        model=ModelRef(name=str(tmp_path / "model")),
        data=DataRef(folder=str(tmp_path / "data"), train=("train.parquet",)),
        output=str(tmp_path / "here" / "bot"),
    )
    seen = plan(spec).folders
    assert Folder(str(tmp_path / "data")) in seen
    assert Folder(str(tmp_path / "model")) in seen
    assert Folder(str(tmp_path / "here"), writable=True) in seen


@pytest.mark.parametrize("folder", ["/bot", "/usr/bot", "/home/user/bot", "/home/bot"])
def test_a_folder_that_would_hide_the_image_is_refused(bench: Bench, folder: str) -> None:
    with pytest.raises(PlanRefused, match="would not see its own"):
        plan(bench.job(output=folder))


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """An address where no engine answers; the package `docker` leaves its socket there open."""
    nowhere = f"unix://{tmp_path}/docker.sock"
    monkeypatch.setenv("DOCKER_HOST", nowhere)
    yield nowhere
    gc.collect()


@left_open
def test_where_no_engine_answers_it_is_said(no_engine: str) -> None:
    with pytest.raises(HubUnreachable, match=f"No Docker engine answers at {no_engine}") as no:
        Docker().flavors()
    assert "DOCKER_HOST" in no.value.fix


def write_context(folder: Path, name: str, host: str) -> None:
    """Write a context as `docker context create` and `docker context use` do."""
    meta = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    meta.mkdir(parents=True)
    told = {"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": host}}}
    (meta / "meta.json").write_text(json.dumps(told))
    (folder / "config.json").write_text(json.dumps({"currentContext": name}))


def test_a_context_leads_to_an_engine_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert place() == "" and Docker().sees_my_files
    write_context(tmp_path, "big", "tcp://10.0.0.7:2375")
    assert (place(), address(place())) == ("big", "tcp://10.0.0.7:2375")
    backend = Docker()
    assert not backend.sees_my_files and not backend.keeps_disk
    monkeypatch.setenv("DOCKER_HOST", "ssh://ann@big")
    assert address(place()) == "ssh://ann@big" and not Docker().sees_my_files
    monkeypatch.setenv("DOCKER_HOST", "unix:///var/run/docker.sock")
    assert place() == "" and Docker().sees_my_files


def test_a_context_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONTEXT", "gone")
    with pytest.raises(PlanRefused, match="no context 'gone'"):
        Docker().flavors()


def test_an_address_without_a_protocol_is_a_port_as_for_docker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "10.0.0.7:2375")
    assert place() == "tcp://10.0.0.7:2375"


def test_a_limit_of_the_container_is_what_the_check_counts_with() -> None:
    whole = Flavor("cpu", "a machine", 0.0, memory_bytes=16e9, cpus=8)
    given = Docker().given(whole, DockerOptions(docker_memory=2, docker_cpus=1.5))
    assert (given.memory_bytes, given.cpus) == (2e9, 1.5)
    assert given.memory_setting == "--docker-memory"
    assert Docker().given(whole, DockerOptions()) == whole


def test_a_job_is_found_on_its_engine_whichever_is_used_now(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = "unix:///run/docker.sock"  # the same engine by another of its names
    monkeypatch.setenv("DOCKER_HOST", elsewhere)
    bench.backend = Docker()
    _, handle = bench.launch(bench.job())
    assert handle.path.startswith(f"{elsewhere}/hubtrain-")
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    assert Docker().status(handle).stage in {"running", "exited"}
    Docker().remove(handle)
    assert Docker().look(handle).stage == "gone"
