"""A launch and those who act on its job meanwhile: no machine is left that nobody would find."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from standins import swept
from standins.script import RUNS, Far, Hurried, Scripted

from backends.base import OnProgress, silent
from backends.batch_launch import Together
from backends.errors import LaunchFailed
from backends.handle import Handle
from orchestrator.jobs.records import Record, Records
from orchestrator.jobs.resumed import refuse_twice
from orchestrator.jobs.submit import Order, claim, launch_together, submit
from orchestrator.sweep.trial import Trial
from orchestrator.terminal.sweeps.board import summary
from worker.contract import DataRef, EndReason, Limits, Machine, Start, Stopped
from worker.errors import BadConfig

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
        self.records.remove(request.job_id, Hurried().now())
        return super().launch(request, secrets, on_progress)


def test_a_job_removed_while_it_is_launched_leaves_no_machine(tmp_path: Path) -> None:
    clock, records = Hurried(), Records(tmp_path)
    far = Far(clock, [(0, RUNS)])
    with pytest.raises(LaunchFailed, match="was removed while it was being launched"):
        submit(ORDER, Interfered(far, records), {}, records=records, clock=clock)
    assert far.removed == 1
    assert records.all() == []


class Refusing(Scripted, Together):
    """Its queue is full; what it took before, it has."""

    most = 9

    def __init__(self, far: Far, has: str) -> None:
        super().__init__(far)
        self.has = has

    def launch_all(self, *words: Any) -> list[Handle]:
        raise LaunchFailed("The queue is full.")

    def find(self, request: Any) -> Handle | None:
        return Handle("spaces", "ann/p-aaaaaa") if request.job_id == self.has else None


def test_what_ran_already_is_no_failure_where_the_next_is_refused(tmp_path: Path) -> None:
    clock, records = Hurried(), Records(tmp_path)
    orders = (ORDER.spec("aaaaaa"), ORDER.spec("bbbbbb"))
    written = [records.claim(s.job_id, lambda s=s: s, clock.now()) for s in orders]  # type: ignore[misc]
    far = Refusing(Far(clock, [(0, RUNS)]), "aaaaaa")
    ran, refused = launch_together(written, far, {}, 1, records=records, clock=clock)
    assert isinstance(ran, Record) and ran.story.handle and not ran.ended
    assert isinstance(refused, LaunchFailed)
    assert records.get("bbbbbb").ended


def test_a_trial_that_somebody_cancelled_has_not_failed(tmp_path: Path) -> None:
    records = Records(tmp_path)
    for reason, failed in ((EndReason.USER, False), (EndReason.OOM, True)):
        records.remove("aaaaaa", Hurried().now())
        record = records.claim("f", lambda: ORDER.spec("aaaaaa"), Hurried().now())
        stop = Stopped(reason=reason, message="", at=Hurried().now(), source="laptop")
        records.add(record.job_id, [stop])
        assert Trial(0, {}, records.get("aaaaaa")).failed is failed


def test_two_jobs_do_not_go_on_with_one_training_at_once(tmp_path: Path) -> None:
    clock, records = Hurried(), Records(tmp_path)
    on = replace(ORDER, start=Start(jobs=("first",), step=1, repo_id="ann/p", revision="c" * 40))
    other = replace(on, params={"lr": 0.1})
    record = claim(on, records=records, clock=clock, admit=partial(refuse_twice, on))
    with pytest.raises(BadConfig, match=f"{record.job_id} goes on with this training already"):
        claim(other, records=records, clock=clock, admit=partial(refuse_twice, other))
    assert claim(on, records=records, clock=clock).job_id == record.job_id

    stop = Stopped(reason=EndReason.USER, message="", at=clock.now(), source="laptop")
    records.add(record.job_id, [stop])
    claim(other, records=records, clock=clock, admit=partial(refuse_twice, other))


def test_refused_trials_are_not_counted_as_done() -> None:
    trials = [Trial(0, {}, refused="price: over the budget"), Trial(1, {}, twin=0), Trial(2, {})]
    said = summary(trials, swept.sweep(), 3, Hurried().now())
    assert said.startswith("1 of 3 trials done · 1 refused")
