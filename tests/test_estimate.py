"""Minutes and dollars before a job runs: the arithmetic, its bounds, and what cuts it off."""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_llm_data import FACTS
from test_supervise import spec

from backends.base import Flavor
from backends.spaces import Spaces
from localhub.runtime.prices import FLAVORS
from orchestrator.preflight.estimate import (
    CPU_CORE,
    PASS_SECONDS,
    PEAK,
    SCALING,
    SHARDED_SCALING,
    START_SECONDS,
    UTILISATION,
    Work,
    accelerator_of,
    capacity,
    estimate,
    sustained,
)
from orchestrator.preflight.machine import check_machine
from orchestrator.preflight.model import BaseModel
from orchestrator.preflight.request import CheckRequest, Earlier
from orchestrator.settings.job import JobSettings
from worker.contract import Limits, Parallel, Start
from worker.task import DataReport
from worker.tasks.llm import TASK

A100 = Flavor("a100-large", "A100", 2.5, 142e9, "Nvidia A100", 1, 80e9, 12)
CPU = Flavor("cpu-basic", "CPU", 0.0, 16e9, cpus=2)
FREE = Limits()


def test_time_is_work_by_speed_and_the_minutes_around_it() -> None:
    hour = 3600 * UTILISATION[1] * PEAK["A100"]
    found = estimate(Work(flops=hour, fetched_bytes=1e9, pushed_bytes=4e8), A100, FREE)
    assert found.minutes.expected == pytest.approx(60 + (START_SECONDS[1] + 10 + 10) / 60)
    assert found.minutes.low < found.minutes.expected < found.minutes.high
    assert found.usd.expected == pytest.approx(found.minutes.expected / 60 * 2.5)
    assert found.usd_at_most == found.usd.high


def test_many_small_batches_take_their_time_on_any_machine() -> None:
    for flavor in (A100, CPU):
        found = estimate(Work(flops=1e9, passes=60_000), flavor, FREE)
        expected = (START_SECONDS[1] + 60_000 * PASS_SECONDS[1]) / 60
        assert found.minutes.expected == pytest.approx(expected)
    large = Work(flops=1e19)
    assert estimate(replace(large, passes=100), A100, FREE) == estimate(large, A100, FREE)


def test_limits_cap_the_most_it_can_cost() -> None:
    work = Work(flops=1e19)
    assert estimate(work, A100, Limits(max_usd=3.0)).usd_at_most == 3.0
    assert estimate(work, A100, Limits(max_seconds=1800)).usd_at_most == pytest.approx(1.25)
    assert estimate(work, CPU, FREE).usd_at_most == 0


def test_this_machine_starts_at_once() -> None:
    work = Work(flops=1e12)
    here, there = estimate(work, CPU, FREE, rented=False), estimate(work, CPU, FREE)
    assert here.minutes.expected < there.minutes.expected


def test_more_devices_are_faster_but_not_in_proportion() -> None:
    four = Flavor("a100x4", "4", 10, 568e9, "Nvidia A100", 4, 320e9)
    shared = {kind: Parallel(processes=4, strategy=kind) for kind in ("ddp", "fsdp")}
    for kind, adds in (("ddp", SCALING), ("fsdp", SHARDED_SCALING)):
        expected = sustained(A100)[1] * (1 + 3 * adds)
        assert sustained(four, shared[kind])[1] == pytest.approx(expected)
    assert sustained(four)[1] == sustained(A100)[1], "one process uses one of them"
    assert capacity(four) == capacity(A100) == 80e9
    assert sustained(CPU)[1] == 2 * CPU_CORE[1] and capacity(CPU) == 16e9


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ("Nvidia A10G", "A10G"),
        ("NVIDIA L40S", "L40S"),
        ("L4", "L4"),
        ("RTX PRO 6000 Blackwell", "RTX PRO 6000"),
        ("rtx-pro-6000", "RTX PRO 6000"),
        ("MI300X", None),
        (None, None),
    ],
)
def test_accelerators_are_known_by_what_providers_call_them(
    said: str | None, known: str | None
) -> None:
    assert accelerator_of(Flavor("x", "", 1, 1e9, said, 1, 1e9)) == known


def test_every_gpu_the_hub_rents_out_is_in_the_table() -> None:
    gpus = {f.accelerator.model for f in FLAVORS if f.accelerator}
    unknown = {m for m in gpus if accelerator_of(Flavor("x", "", 1, 1e9, m, 1, 1e9)) is None}
    assert gpus and not unknown


def _earlier(start: Start) -> Earlier:
    job = spec()
    return Earlier(job, job.data, job.files, job.model, start)


def test_of_a_training_that_goes_on_only_the_rest_is_counted() -> None:
    start = Start(jobs=("k4x",), step=75, repo_id="ann/bot", revision="c" * 40)
    whole = CheckRequest(
        TASK, TASK.params(model="m", data_path="d"), "bot", "ann", True, JobSettings()
    )
    data, base = DataReport(rows=10**6, units=10**9, steps=100), BaseModel(None, FACTS)

    def price(request: CheckRequest) -> float:
        found, said = check_machine(request, base, data, [A100], Spaces())
        assert found is not None
        (text,) = [f.text for f in said.in_order() if " expected (" in f.text and "$" in f.text]
        assert text.count("for the 25% that are left") == (request.earlier is not None)
        around = START_SECONDS[1] / 3600 * A100.usd_per_hour
        return found.estimate.usd.expected - around

    rest = replace(whole, earlier=_earlier(start))
    assert price(rest) == pytest.approx(price(whole) / 4, rel=0.01)
    further = replace(whole, earlier=_earlier(start.model_copy(update={"step": 300})))
    assert further.earlier is not None and further.earlier.left(data.steps) == 0


@pytest.mark.parametrize(
    ("settings", "main", "refused"),
    [
        ({}, 13e9, "one process holds 12 GB in main memory"),  # 1e9 weights and two moments
        ({}, 15e9, ""),
        ({}, 0.0, ""),  # what its provider does not tell
        ({"save_strategy": "no"}, 5e9, ""),
        ({"distributed_backend": "ddp"}, 13e9, ""),
        ({"peft": True}, 5e9, ""),
        ({"peft": True, "merge_adapter": True}, 3e9, "leave --merge-adapter out"),
    ],
)
def test_the_main_memory_that_saves_a_divided_model_is_counted(
    settings: dict[str, object], main: float, refused: str
) -> None:
    asked = {"distributed_backend": "fsdp", **settings}
    request = CheckRequest(
        TASK, TASK.params(model="m", data_path="d", **asked), "bot", "ann", True, JobSettings()
    )
    base = BaseModel(None, replace(FACTS, parameters=10**9))
    data = DataReport(rows=100, units=10_000, steps=100)
    four = Flavor("a10g-largex4", "4", 5.0, main, "Nvidia A10G", 4, 96e9, 48)
    _, said = check_machine(request, base, data, [four], Spaces())
    wrong = [f"{f.text} {f.fix}" for f in said.in_order() if f.level == "error"]
    assert len(wrong) == bool(refused)
    assert not refused or refused in wrong[0]
