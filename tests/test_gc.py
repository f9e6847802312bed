"""`hubtrain gc` stops what nobody needs, and nothing else, however little it knows."""

from __future__ import annotations

import signal
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from benches.spaces import SpacesBench
from benches.spaces import job as job_of_standin
from standins.bench import without_spaces
from standins.laptop import processes, send
from standins.localhub import HubServer
from standins.script import AWAY, PAUSED, RUNS, START, Far, Hurried, Scripted, told
from standins.waiting import until

from backends.base import Backend, Status
from backends.errors import BackendError
from backends.local import Local
from backends.spaces import Spaces
from orchestrator.jobs.client import Client
from orchestrator.jobs.gc import LATE_SECONDS, START_SECONDS, sweep
from orchestrator.terminal.desk import Desk
from worker.clock import SystemClock
from worker.contract import (
    DataRef,
    Event,
    Finished,
    JobSpec,
    Launched,
    Limits,
    Machine,
    ModelRef,
    Started,
    from_line,
)
from worker.errors import HubtrainError, NoWrite

SPEC = JobSpec(
    job_id="k4x7qp",
    project="p",
    owner="ann",
    task="llm",
    params={},
    model=ModelRef(name="m"),
    data=DataRef(),
    machine=Machine(backend="spaces", flavor="t4-small", usd_per_hour=3.6),
    limits=Limits(max_seconds=3600),
)
HANDLE = "spaces://ann/p-k4x7qp"


@dataclass
class Office(Desk):
    """A desk whose one rented machine is scripted."""

    far: Far | None = None

    def provider(self, name: str) -> Backend[Any]:
        assert self.far is not None
        return Scripted(self.far) if name == "spaces" else Local(None, self.clock)


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hurried:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path))
    return Hurried()


def event(line: tuple[float, str]) -> Event:
    read = from_line(line[1])
    assert read is not None
    return read


STARTED = event(told(0, Started(job_id="k4x7qp"), 1))
FINISHED = event(told(60, Finished(), 2))


def office(far: Far, *events: Event, record: bool = True) -> Office:
    desk = Office(clock=far.clock, far=far)
    if record:
        desk.records.claim("f", lambda: SPEC, START)
        desk.records.add("k4x7qp", [Launched(handle=HANDLE, at=START, source="laptop"), *events])
    return desk


def verdict(desk: Office) -> tuple[dict[str, str], list[str]]:
    swept = sweep(desk, ["ann"])
    return {handle: one.why for handle, one in swept.leftovers.items()}, swept.unanswered


def test_a_job_that_runs_is_left_alone(clock: Hurried) -> None:
    clock.seconds = 600
    assert verdict(office(Far(clock, [(0, RUNS)]), STARTED)) == ({HANDLE: ""}, [])


def test_a_machine_whose_job_has_ended_is_stopped(clock: Hurried) -> None:
    clock.seconds = 3660
    far = Far(clock, [(0, RUNS)])
    one = sweep(office(far, STARTED, FINISHED), ["ann"]).leftovers[HANDLE]
    assert one.why == "its job ended 1 h 00 min ago"
    assert one.usd_so_far == pytest.approx(3.66)
    far.stops_after = 0.0
    assert one.stop() == PAUSED
    assert far.cancelled == [3660]


@pytest.mark.parametrize(
    ("late", "why"), [(LATE_SECONDS - 1, ""), (LATE_SECONDS + 1, "its job is past its limits")]
)
def test_a_job_may_push_for_a_while_after_its_limit(clock: Hurried, late: float, why: str) -> None:
    clock.seconds = 3600 + late
    assert verdict(office(Far(clock, [(0, RUNS)]), STARTED)) == ({HANDLE: why}, [])


@pytest.mark.parametrize(
    ("late", "why"),
    [(LATE_SECONDS + START_SECONDS - 1, ""), (LATE_SECONDS + START_SECONDS + 1, "past its limits")],
)
def test_a_job_whose_worker_never_spoke_is_stopped_after_its_limit(
    clock: Hurried, late: float, why: str
) -> None:
    """Its supervisor was killed before it said anything, and its machine costs on."""
    clock.seconds = 3600 + late
    found, _ = verdict(office(Far(clock, [(0, RUNS)])))
    assert found[HANDLE].endswith(why) and bool(found[HANDLE]) == bool(why)


def test_a_job_that_waits_in_a_queue_is_not_past_its_limits(clock: Hurried) -> None:
    """Neither while it waits, nor in the moment in which it begins and nobody has heard of it."""
    waits = Status(alive=True, costing=False, stage="PENDING", waiting=True)
    runs = Status(alive=True, costing=False, stage="RUNNING")
    clock.seconds = 5 * 3600
    logs = [[told(5 * 3600 + 1, Started(job_id="k4x7qp"), 1)]]
    desk = office(Far(clock, [(0, waits), (5 * 3600 + 1, runs)], logs=logs))
    assert verdict(desk) == ({HANDLE: ""}, [])
    clock.seconds += 60
    assert verdict(desk) == ({HANDLE: ""}, [])
    clock.seconds += 3600 + LATE_SECONDS
    assert verdict(desk) == ({HANDLE: "its job is past its limits"}, [])


def test_what_is_paused_is_no_leftover(clock: Hurried) -> None:
    assert verdict(office(Far(clock, [(0, PAUSED)]), STARTED)) == ({}, [])


def test_a_job_of_another_laptop_that_runs_is_left_alone(clock: Hurried) -> None:
    far = Far(clock, [(0, RUNS)], spec=SPEC)
    assert verdict(office(far, record=False)) == ({HANDLE: ""}, [])


def test_a_job_of_another_laptop_past_its_limits_is_known_by_what_its_worker_said(
    clock: Hurried,
) -> None:
    clock.seconds = 3600 + LATE_SECONDS + 1
    far = Far(clock, [(0, RUNS)], logs=[[told(0, Started(job_id="k4x7qp"), 1)]], spec=SPEC)
    assert verdict(office(far, record=False)) == ({HANDLE: "its job is past its limits"}, [])


def test_a_launch_cut_short_on_another_laptop_is_a_leftover(clock: Hurried) -> None:
    empty = Status(alive=True, costing=False, stage="NO_APP_FILE")
    far = Far(clock, [(0, empty)])
    assert verdict(office(far, record=False)) == ({HANDLE: "its launch was cut short"}, [])


def test_a_launch_that_goes_on_elsewhere_is_left_alone(clock: Hurried) -> None:
    """Its Space is there, and a minute later the job is there, too."""
    far = Far(clock, [(0, Status(alive=True, costing=False, stage="NO_APP_FILE")), (30, RUNS)])
    desk = office(far, record=False)

    def sent(seconds: float) -> None:
        far.spec = SPEC

    (one,) = sweep(desk, ["ann"], sent).leftovers.values()
    assert not one.garbage and clock.seconds >= 30


@pytest.mark.parametrize("error", [AWAY, BackendError("another version")])
def test_a_job_that_cannot_be_read_is_not_judged(clock: Hurried, error: HubtrainError) -> None:
    far = Far(clock, [(0, RUNS)], spec=error)
    assert verdict(office(far, record=False)) == ({}, [f"{HANDLE}: {error}"])


def test_who_may_not_ask_is_told_so_and_the_rest_goes_on(clock: Hurried) -> None:
    far = Far(clock, [(0, NoWrite("bob is not ann."))])
    found, unanswered = verdict(office(far, STARTED))
    assert found == {}
    assert unanswered == [f"{HANDLE}: bob is not ann.", "spaces of ann: bob is not ann."]


@dataclass(frozen=True)
class Later(SystemClock):
    """A clock of some hours later."""

    hours: float = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(hours=self.hours)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_supervisor_that_can_stop_nothing_any_more_costs_nothing_after_a_sweep(
    shared_hub: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: signal.Signals
) -> None:
    """Killed, the Hub takes its machine away; hung, it would cost on beyond the cap of its job."""
    monkeypatch.setenv("HF_ENDPOINT", shared_hub.endpoint)
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path))
    spaces = Spaces(shared_hub.tokens["ann"])
    spec = job_of_standin(lines=1, limits=Limits(max_usd=0.1))
    _, handle = SpacesBench(spaces).launch(spec)
    until(lambda: spaces.status(handle).costing and _worker(spec.job_id))
    send(_worker(spec.job_id), how)
    if how is signal.SIGKILL:
        until(lambda: not spaces.status(handle).alive)
    for hours in (0, 2):
        client = Client(clock=Later(hours), given_token=shared_hub.tokens["ann"])
        for one in sweep(client, ["ann"]).leftovers.values():
            assert one.found.handle == handle and one.garbage == bool(hours)
            if one.garbage:
                assert one.why == "its job is past its limits"
                one.stop()
    until(lambda: not spaces.status(handle).costing)
    assert not [bill for bill in shared_hub.admin("GET", "bills") if bill["costing"]]
    next(without_spaces(shared_hub), None)


def _worker(job_id: str) -> int:
    """Return the process of a Space's program; 0 if there is none yet."""
    for pid in processes("-m worker"):
        with suppress(OSError):
            environ = Path(f"/proc/{pid}/environ").read_bytes()
            if f"HUBTRAIN_JOB={job_id}".encode() in environ:
                return pid
    return 0
