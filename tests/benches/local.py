"""This machine, in a folder of the test's own."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from standins.bench import STANDIN, Bench

from backends.handle import Handle
from backends.local import Local
from worker.contract import JobSpec
from worker.home import home


class LocalBench(Bench):
    """Processes of this machine."""

    name = "local"

    @classmethod
    @contextmanager
    def open(cls, request: pytest.FixtureRequest) -> Iterator[Bench]:
        yield cls(Local(None))
        for folder in (home() / "runs").glob("*"):
            Local(None).remove(Handle("local", folder.name))

    def plan(self, spec: JobSpec) -> Any:
        request = self.backend.plan(spec)
        return dataclasses.replace(request, command=(sys.executable, str(STANDIN)))

    def kept(self, request: Any) -> str:
        files = (f for f in request.folder.path.rglob("*") if f.is_file())
        return "".join(f.read_text(errors="replace") for f in files)


BENCH = LocalBench
