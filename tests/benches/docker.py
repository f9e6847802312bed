"""A Docker engine, and an image whose worker is the stand-in."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

import pytest
from standins.bench import STANDIN, Bench
from standins.containers import need_engine

from backends.docker import Docker
from backends.docker.engine import engine
from backends.docker.request import ContainerRequest
from backends.handle import Handle
from worker.contract import NO_SECRETS_RECEIVED, JobSpec


class DockerBench(Bench):
    """Containers of the engine of this machine."""

    name = "docker"
    flavor = "cpu"

    def __init__(self, backend: Docker) -> None:
        super().__init__(backend)
        self.planned: list[str] = []

    @classmethod
    @contextmanager
    def open(cls, request: pytest.FixtureRequest) -> Iterator[Bench]:
        need_engine()
        bench = cls(Docker())
        yield bench
        for name in bench.planned:
            bench.backend.remove(Handle("docker", name))

    def plan(self, spec: JobSpec) -> ContainerRequest:
        request = with_standin(self.backend.plan(spec))
        self.planned.append(request.name)
        return request

    def kept(self, request: ContainerRequest) -> str:
        with engine(request.place) as docker:
            there = docker.containers.get(request.name)
            image = docker.images.get(request.image)
            written: bytes = there.logs()
        return json.dumps([there.attrs, image.attrs]) + written.decode()


def with_standin(request: ContainerRequest) -> ContainerRequest:
    """Return the container with the stand-in for its worker, in an image that installs nothing."""
    whole = request.files["Dockerfile"].decode()
    plain = [line for line in whole.splitlines() if not line.startswith("RUN pip")]
    given = {
        "Dockerfile": "\n".join(plain).encode(),
        "torch.txt": b"",
        "requirements.txt": b"",
        "constraints.txt": b"",
        "worker/__init__.py": b"",
        "worker/__main__.py": STANDIN.read_bytes(),
        "worker/contract.py": f"NO_SECRETS_RECEIVED = {NO_SECRETS_RECEIVED}".encode(),
        "worker/container.py": (files("worker") / "container.py").read_bytes(),
    }
    return dataclasses.replace(request, files=given)


BENCH = DockerBench
