"""A launch and those who act on its job meanwhile: no machine is left that nobody would find."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from standins.script import RUNS, Far, Hurried, Scripted

from backends.base import OnProgress, silent
from backends.errors import LaunchFailed
from backends.handle import Handle
from orchestrator.jobs.records import Records
from orchestrator.jobs.submit import Order, submit
from worker.contract import DataRef, Limits, Machine

ORDER = Order(
    task="llm",
    params={},
    project="p",
    owner="ann",
    model=None,
    data=DataRef(),
    push=None,
    machine=Machine(backend="spaces"),
    limits=Limits(),
)


class Interfered(Scripted):
    """While it launches, somebody else types `hubtrain rm` for this very job."""

    def __init__(self, far: Far, records: Records) -> None:
        super().__init__(far)
        self.records = records

    def launch(
        self, request: Any, secrets: Mapping[str, str], on_progress: OnProgress = silent
    ) -> Handle:
        self.records.remove(request.job_id)
        return super().launch(request, secrets, on_progress)


def test_a_job_removed_while_it_is_launched_leaves_no_machine(tmp_path: Path) -> None:
    clock, records = Hurried(), Records(tmp_path)
    far = Far(clock, [(0, RUNS)])
    with pytest.raises(LaunchFailed, match="was removed while it was being launched"):
        submit(ORDER, Interfered(far, records), {}, records=records, clock=clock)
    assert far.removed == 1
    assert records.all() == []
