"""The Slurm of `tests/services/slurm.sh`, with the stand-in as the worker of its jobs."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import LACKING
from standins.bench import STANDIN, Bench

from backends.handle import Handle
from backends.slurm import Slurm
from backends.slurm.request import SlurmRequest
from worker.contract import JobSpec

SERVICE = Path(__file__).parent.parent / "services" / "slurm.sh"
SLURM = "a Slurm (tests/services/slurm.sh up starts one)"
"""What the tests of Slurm need, as the summary names it."""


class SlurmBench(Bench):
    """Batch jobs of one node."""

    name = "slurm"
    flavor = "debug"

    def __init__(self, backend: Slurm) -> None:
        super().__init__(backend)
        self.slurm = backend
        self.launched: list[Handle] = []

    @classmethod
    @contextmanager
    def open(cls, request: pytest.FixtureRequest) -> Iterator[Bench]:
        conf = configuration()
        request.getfixturevalue("monkeypatch").setenv("SLURM_CONF", str(conf))
        bench = cls(Slurm())
        yield bench
        bench.clear()

    def plan(self, spec: JobSpec) -> SlurmRequest:
        request = with_standin(self.backend.plan(spec))
        self.launched.append(Handle("slurm", request.folder))
        return request

    def clear(self) -> None:
        """Remove what was planned, launched or not."""
        for handle in self.launched:
            self.backend.remove(handle)

    def kept(self, request: SlurmRequest) -> str:
        state = configuration().parent
        folders = [Path(request.folder), state / "controller", *state.glob("node-*")]
        files = [f for folder in folders for f in folder.rglob("*") if f.is_file()]
        logs = [f for f in state.glob("*.log") if f.name != "munged.log"]
        told = [slurm("scontrol", "show", "job"), slurm("squeue", "--states=all", "--format=%all")]
        return "".join([*told, *(f.read_text(errors="replace") for f in [*files, *logs])])


def configuration() -> Path:
    """Return the SLURM_CONF of the tests; skips a test where there is no Slurm."""
    ran = subprocess.run([SERVICE, "conf"], capture_output=True, text=True, check=True)
    conf = Path(ran.stdout.strip())
    if not conf.is_file():
        pytest.skip(f"{SLURM} {LACKING}")
    return conf


def slurm(*command: str) -> str:
    """Return what a command of Slurm says."""
    environ = {**os.environ, "SLURM_CONF": str(configuration())}
    ran = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    return ran.stdout


def wait_no_longer(number: str) -> None:
    """Let a requeued job begin soon: Slurm has it wait for two minutes.

    Not at once: what a job was allowed to run with is void for the second in which it ended, and
    a job that begins in that second has failed.
    """
    slurm("scontrol", "update", f"jobid={number}", "StartTime=now+3")


def with_standin(request: SlurmRequest, standin: Path = STANDIN) -> SlurmRequest:
    """Return the job with a stand-in for `python -m worker`; the rest of the worker is there."""
    files = {**request.files, "worker/__main__.py": standin.read_bytes()}
    return dataclasses.replace(request, files=files)


BENCH = SlurmBench
