"""The local Hub, which really runs Spaces."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from standins.bench import STANDIN, Bench
from standins.bench import job as any_job

from backends.handle import Handle
from backends.hub.files import RepoFile
from backends.spaces import Spaces
from backends.spaces.request import SpaceRequest
from worker.contract import JobSpec


class SpacesBench(Bench):
    """Spaces of ann's."""

    name = "spaces"
    flavor = "t4-small"

    @classmethod
    @contextmanager
    def open(cls, request: pytest.FixtureRequest) -> Iterator[Bench]:
        yield cls(Spaces(request.getfixturevalue("hub").tokens["ann"]))

    def plan(self, spec: JobSpec) -> SpaceRequest:
        return with_standin(self.backend.plan(spec))

    def kept(self, request: SpaceRequest) -> str:
        api = self.backend.api  # type: ignore[attr-defined]
        info = api.space_info(request.repo_id)
        variables = api.get_space_variables(request.repo_id)
        files = (api.hf_hub_download(info.id, f.path, repo_type="space") for f in request.files)
        texts = (Path(f).read_text() for f in files)
        handle = Handle("spaces", info.id)
        lines = [*self.backend.logs(handle), *self.backend.build_logs(handle)]
        return "".join([repr(info), repr(variables), *texts, *lines])


def with_standin(request: SpaceRequest) -> SpaceRequest:
    """Return the Space with the stand-in for its worker."""
    files = [f for f in request.files if not f.path.startswith("worker/")]
    files.append(RepoFile("worker/__main__.py", STANDIN.read_bytes()))
    return dataclasses.replace(request, files=tuple(files))


job = partial(any_job, "spaces", flavor=SpacesBench.flavor)
"""A job of the stand-in that runs on a Space."""

BENCH = SpacesBench
