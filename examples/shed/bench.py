"""The shed in a folder of the test's own. Copied to `tests/benches/shed.py` it judges the backend.

A backend of a real provider starts the provider's far side in `open`: an engine, a scheduler.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from standins.bench import STANDIN, Bench

from backends.handle import Handle
from backends.shed import Shed, ShedRequest
from worker.contract import JobSpec
from worker.home import home


class ShedBench(Bench):
    """Somewhere for the shed to run."""

    name = "shed"

    @classmethod
    @contextmanager
    def open(cls, request: pytest.FixtureRequest) -> Iterator[Bench]:
        yield cls(Shed())
        for folder in (home() / "runs").glob("*"):
            Shed().remove(Handle("shed", folder.name))

    def plan(self, spec: JobSpec) -> ShedRequest:
        planned: ShedRequest = self.backend.plan(spec)
        return dataclasses.replace(planned, command=(sys.executable, str(STANDIN)))

    def kept(self, request: ShedRequest) -> str:
        files = (f for f in request.folder.path.rglob("*") if f.is_file())
        return "".join(f.read_text(errors="replace") for f in files)


BENCH = ShedBench
