"""A Slurm behind a login node: a real sshd on loopback, and its own folder for the jobs."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from benches.slurm import SlurmBench, configuration
from standins.bench import CANARY
from standins.sshd import NAME, LoginNode, login_node
from standins.waiting import until

from backends.errors import BackendError, JobGone
from backends.handle import Handle
from backends.slurm import Slurm
from backends.slurm.cluster import Cluster
from backends.slurm.options import SlurmOptions
from backends.slurm.request import SlurmRequest
from worker.contract import JobSpec, Machine
from worker.errors import HubUnreachable


class FarBench(SlurmBench):
    """Batch jobs that are submitted through ssh, in a folder of the cluster."""

    folder: str
    python: str | None = sys.executable

    def job(self, lines: int = 5, **changes: Any) -> JobSpec:
        options = {"slurm_host": NAME, "slurm_folder": self.folder, "slurm_python": self.python}
        told = Machine(backend="slurm", flavor="debug", options=options)
        return super().job(lines, **{"machine": told, **changes})

    def plan(self, spec: JobSpec) -> SlurmRequest:
        request = super().plan(spec)
        self.launched[-1] = Handle("slurm", f"{NAME}{request.folder}")
        return request


@pytest.fixture(scope="module")
def node() -> Iterator[LoginNode]:
    with login_node(f"SLURM_CONF={configuration()}") as node:
        yield node


@pytest.fixture
def bench(
    request: pytest.FixtureRequest,
    node: LoginNode,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[FarBench]:
    monkeypatch.setenv("PATH", node.path)
    with tempfile.TemporaryDirectory(prefix="ht-") as home, FarBench.open(request) as bench:
        assert isinstance(bench, FarBench)
        bench.folder = str(tmp_path / "cluster")
        monkeypatch.setenv("HUBTRAIN_HOME", home)
        monkeypatch.delenv("SLURM_CONF")
        yield bench
        node.hang_up()


def test_an_array_goes_through_ssh(bench: FarBench) -> None:
    requests = [bench.plan(bench.job(lines=1)) for _ in range(2)]
    handles = bench.slurm.launch_all(requests, {"HF_TOKEN": CANARY}, 2)
    assert [one.path.partition("/")[0] for one in handles] == [NAME, NAME]
    until(lambda: all("line 0" in list(bench.backend.logs(one)) for one in handles))
    for handle in handles:
        bench.backend.remove(handle)


def test_a_job_lives_behind_a_login_node(bench: FarBench, node: LoginNode) -> None:
    spec, before = bench.job(lines=30), node.logins
    request, handle = bench.launch(spec)
    assert str(handle) == f"slurm://{NAME}{bench.folder}/{spec.job_id}"
    assert bench.backend.find(request) == handle
    assert bench.backend.recall(handle) == spec
    assert bench.backend.launch(request, {}) == handle
    seen = []
    for line in bench.backend.logs(handle, follow=True):
        seen.append(line)
        if line == "line 10":
            node.hang_up()
        if line == "line 29":
            bench.backend.cancel(handle)
    assert seen == list(bench.backend.logs(handle))
    assert "started on None key True" in seen
    assert not bench.backend.status(handle).alive
    assert node.logins - before < 5, "verbs share a connection"
    bench.backend.remove(handle)
    with pytest.raises(JobGone):
        bench.backend.status(handle)
    assert not Path(request.folder).exists()


def test_no_secret_is_in_a_command_line(bench: FarBench, monkeypatch: pytest.MonkeyPatch) -> None:
    _, handle = bench.launch(bench.job())
    until(lambda: "line 4" in list(bench.backend.logs(handle)))
    monkeypatch.setenv("SLURM_CONF", str(configuration()))
    kept = [file.read_bytes() for file in Path(bench.folder).rglob("*") if file.is_file()]
    assert not [text for text in kept if CANARY.encode() in text]


def test_an_environment_is_made_once(bench: FarBench) -> None:
    bench.python = None
    first, second = ran_in_an_environment(bench), ran_in_an_environment(bench)
    assert any(line.startswith("Making an environment") for line in first)
    assert not any(line.startswith("Making an environment") for line in second)
    assert len(list(Path(bench.folder, "environments").glob("*/ready"))) == 1


def ran_in_an_environment(bench: FarBench) -> list[str]:
    """Run a job whose environment has no packages, and return what it wrote."""
    request = bench.plan(bench.job(1))
    nothing = dict.fromkeys(("requirements.txt", "torch.txt", "constraints.txt"), b"")
    request = dataclasses.replace(request, files={**request.files, **nothing})
    handle = bench.backend.launch(request, {"HF_TOKEN": CANARY})
    lines = until(lambda: "line 0" in (told := list(bench.backend.logs(handle))) and told, 120)
    return list(lines)


def test_its_partitions_are_asked_for_there(bench: FarBench) -> None:
    there = bench.backend.having(SlurmOptions(slurm_host=NAME), "gpu:t4")
    assert "gpu:t4" in {flavor.name for flavor in there.flavors()}
    assert not there.sees_my_files and not there.keeps_disk
    assert Slurm().sees_my_files


def test_a_login_node_that_is_away_or_refuses_is_told_apart(
    bench: FarBench, node: LoginNode
) -> None:
    with pytest.raises(HubUnreachable, match="ssh does not reach no-such-host"):
        Cluster("no-such-host.invalid").do("machines")
    key = node.folder / "user.pub"
    kept = key.read_text()
    key.write_text("")
    try:
        node.hang_up()
        with pytest.raises(BackendError, match=f"{NAME} does not let you in") as refused:
            Cluster(NAME).do("machines")
        assert f"`ssh {NAME}`" in refused.value.fix
    finally:
        key.write_text(kept)
