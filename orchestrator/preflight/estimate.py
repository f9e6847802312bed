"""How long a job takes and what that costs, before it runs: a range, and what the range rests on.

Time is arithmetic divided by the arithmetic a machine sustains, or what so many batches take at
least, plus the minutes around it: starting, fetching the model, pushing the result. Knows no task:
the floating point operations come from `Task.flops`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass
from typing import Any

from backends.base import Flavor
from orchestrator.forecast import Forecast
from orchestrator.preflight.pace import NO_PACE, Pace
from worker.contract import ALONE, Limits, Parallel

PEAK = {
    "T4": 65e12,
    "L4": 121e12,
    "A10": 125e12,
    "A10G": 70e12,
    "L40S": 362e12,
    "A100": 312e12,
    "H100": 989e12,
    "H200": 989e12,
    "RTX PRO 6000": 500e12,
}
"""Dense 16-bit tensor operations a second with 32-bit sums, one device: NVIDIA's data sheets (for
the A10G that of the A10G, not of the A10; for the RTX PRO 6000 an eighth of its sparse FP4)."""

UTILISATION = (0.15, 0.28, 0.45)
"""Share of the peak that fine-tuning sustains: low, expected, high. Measured on an H100 with packed
rows of 2,048 tokens: all weights of 1B 0.32, of 3B with recomputed activations, which `Task.flops`
leaves out, 0.25; LoRA 0.26 and 0.18 to 0.23. Public figures of large models on older GPUs reach
0.5."""

UNKNOWN_PEAK = 60e12
"""For a GPU that is not in the table; the estimate says so."""

CPU_CORE = (4e10, 8e10, 1.4e11)
"""Operations a second on one core: low, expected, high. Measured: LoRA on a model of 135 M
parameters, rows of 1,024 tokens, 3.7 s a step on two cores is 8.5e10 a core."""

SCALING = 0.9
"""What each device after the first adds to the speed, as a share of one: the rest is
communication."""

SHARDED_SCALING = 0.75
"""The same where each holds a share of the weights, which all gather for each layer of a pass.
Both are assumed, not measured."""

NO_BF16 = frozenset({"T4"})
"""GPUs without bfloat16."""

START_SECONDS = (40.0, 90.0, 240.0)
"""From a rented machine's billed start to the first step, the model's transfer aside."""

LOCAL_START_SECONDS = (8.0, 20.0, 60.0)
FETCH_BYTES_A_SECOND = (300e6, 100e6, 30e6)
SLOWNESS = (0.3, 1.0, 2.0)
"""How many times as long what no machine makes faster takes than a task says: low, expected, high.
"""

PASS_SECONDS = (0.005, 0.025, 0.06)
"""What a batch takes at least, forward and back, however little there is to compute: low, expected,
high. Measured, in CPU-seconds on one thread: 25 ms with a model of 12 layers, 64 wide; on a GPU it
is what its host takes to tell it what to do."""

PUSH_BYTES_A_SECOND = (100e6, 40e6, 10e6)
DAY_SECONDS = 86400.0


@dataclass(frozen=True, slots=True)
class Range:
    """An estimate of a value: low, expected, high."""

    low: float
    expected: float
    high: float

    def times(self, factor: float) -> Range:
        return Range(self.low * factor, self.expected * factor, self.high * factor)


@dataclass(frozen=True, slots=True)
class Work:
    """What a job does, whatever the machine."""

    flops: float
    fetched_bytes: float = 0.0
    """Model and data, which the machine downloads first."""

    pushed_bytes: float = 0.0
    passes: float = 0.0
    """Batches that are learned from, one after the other."""

    seconds: float = 0.0
    """What it takes beside the arithmetic, on any machine; infinite where nobody can know."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a job takes on one flavor."""

    minutes: Range
    usd: Range
    usd_at_most: float
    """The high estimate, or what the job's limits cut it off at."""

    pace: Pace = NO_PACE
    """How earlier runs corrected it."""

    known: bool = True
    """Whether anything is known of the time; else the job takes what its limits allow, and a day
    stands for no limit."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def forecast(self, parameters: float) -> Forecast:
        """Return it as it is kept with the record of a job with a model of so many parameters."""
        return Forecast(
            minutes=astuple(self.minutes),
            usd=astuple(self.usd),
            usd_at_most=self.usd_at_most,
            plain_minutes=self.minutes.expected / self.pace.factor if self.known else 0.0,
            parameters=parameters,
        )


def estimate(
    work: Work,
    flavor: Flavor,
    limits: Limits,
    *,
    rented: bool = True,
    parallel: Parallel = ALONE,
    pace: Callable[[float], Pace] = lambda minutes: NO_PACE,
) -> Estimate:
    """Return time and price of `work` on `flavor`; `rented` machines start up and push.

    `pace` says how much longer earlier runs took than so many minutes that were expected.
    """
    if math.isinf(work.seconds):
        return _until_stopped(flavor, limits)
    start = START_SECONDS if rented else LOCAL_START_SECONDS
    seconds = [
        begin
        + work.fetched_bytes / fetch
        + max(work.flops / speed, work.passes * least)
        + work.pushed_bytes / push
        + work.seconds * slow
        for begin, fetch, speed, least, push, slow in zip(
            start,
            FETCH_BYTES_A_SECOND,
            reversed(sustained(flavor, parallel)),
            PASS_SECONDS,
            PUSH_BYTES_A_SECOND,
            SLOWNESS,
            strict=True,
        )
    ]
    found = pace(seconds[1] / 60)
    hours = Range(*seconds).times(found.factor / 3600)
    usd = hours.times(flavor.usd_per_hour)
    caps = [usd.high]
    if limits.max_usd is not None:
        caps.append(limits.max_usd)
    if limits.max_seconds is not None:
        caps.append(limits.max_seconds / 3600 * flavor.usd_per_hour)
    return Estimate(hours.times(60), usd, min(caps), found)


def _until_stopped(flavor: Flavor, limits: Limits) -> Estimate:
    allowed = limits.seconds(flavor.usd_per_hour)
    hours = (DAY_SECONDS if math.isinf(allowed) else allowed) / 3600
    took = Range(0.0, hours, hours)
    usd = took.times(flavor.usd_per_hour)
    return Estimate(took.times(60), usd, usd.high, known=False)


def sustained(flavor: Flavor, parallel: Parallel = ALONE) -> tuple[float, float, float]:
    """Return the operations a second so many processes keep up there: low, expected, high."""
    if not flavor.accelerators:
        cores = max(1.0, flavor.cpus)
        low, expected, high = (core * cores for core in CPU_CORE)
        return low, expected, high
    scaling = SHARDED_SCALING if parallel.strategy == "fsdp" else SCALING
    devices = 1 + scaling * (parallel.processes - 1)
    peak = PEAK.get(accelerator_of(flavor) or "", UNKNOWN_PEAK) * devices
    low, expected, high = (share * peak for share in UTILISATION)
    return low, expected, high


def accelerator_of(flavor: Flavor) -> str | None:
    """Return the name `PEAK` has for the flavor's GPU; none if it has no GPU or an unknown one."""
    said = (flavor.accelerator or "").upper().replace("-", " ")
    words = " ".join(re.findall(r"[A-Z0-9]+", said))
    found = [name for name in PEAK if re.search(rf"\b{name}\b", words)]
    return max(found, key=len, default=None)


def capacity(flavor: Flavor, processes: int = 1) -> float:
    """Return the bytes of memory each training process has: its GPU's, or a share of all."""
    if flavor.accelerators:
        return flavor.vram_bytes / flavor.accelerators
    return flavor.memory_bytes / processes
