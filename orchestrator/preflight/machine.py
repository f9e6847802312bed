"""Whether the job fits the machine, how long it takes there, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from backends.base import Backend, Flavor
from backends.errors import UnknownFlavor
from orchestrator.estimate import (
    BACKWARD_SHARE,
    NO_BF16,
    UNKNOWN_PEAK,
    Estimate,
    Work,
    accelerator_of,
    capacity,
    estimate,
)
from orchestrator.preflight.model import BaseModel
from orchestrator.preflight.report import Findings
from orchestrator.preflight.request import Request
from orchestrator.words import gibibytes, money, roughly
from worker.contract import Limits
from worker.task import DataReport, Footprint

PATIENCE_MINUTES = 12 * 60
"""A machine that takes longer is not chosen for a user who named none, however cheap it is."""

ADAPTER_BYTES = 100e6
"""What is pushed of an adapter, for the price."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A machine and what the job takes on it."""

    flavor: Flavor
    footprint: Footprint
    estimate: Estimate

    @property
    def fits(self) -> bool:
        """Whether the job may fit: in the low case it does."""
        return self.footprint.low <= capacity(self.flavor)

    @property
    def safe(self) -> bool:
        """Whether the job fits even in the high case."""
        return self.footprint.high <= capacity(self.flavor)

    @property
    def cost(self) -> str:
        return money(self.estimate.usd.expected) if self.flavor.usd_per_hour else "free"


def check_machine(
    request: Request,
    model: BaseModel,
    data: DataReport,
    flavors: Sequence[Flavor],
    backend: Backend[Any],
) -> tuple[Choice | None, Findings]:
    """Return the machine, named or the cheapest that fits, and what there is to say about it."""
    findings = Findings()
    work = _work(request, model, data)
    limits = request.job.limits()
    footprint = partial(request.task.footprint, request.params, model.facts)
    all_of_them = [
        Choice(
            flavor,
            footprint(capacity(flavor)),
            estimate(work, flavor, limits, rented=backend.needs_hub),
        )
        for flavor in flavors
    ]
    chosen = findings.attempt("backend", lambda: _chosen(request, backend, all_of_them))
    if chosen is not None:
        fitting = [c for c in all_of_them if c.safe and c is not chosen]
        _say_memory(chosen, fitting, backend, findings)
        _say_price(chosen, fitting, backend, findings, limits)
        _check_precision(request.params, chosen.flavor, findings)
    return chosen, findings


def _work(request: Request, model: BaseModel, data: DataReport) -> Work:
    tokens = _tokens(request.params, data)
    passes = 1.0
    if data.rows and data.valid_rows:
        passes += data.valid_rows / data.rows / BACKWARD_SHARE
    adapter = getattr(request.params, "peft", False) and not getattr(
        request.params, "merge_adapter", False
    )
    return Work(
        flops=request.task.flops(request.params, model.facts, tokens) * passes,
        fetched_bytes=model.stored_bytes,
        pushed_bytes=ADAPTER_BYTES if adapter else model.stored_bytes,
    )


def _tokens(params: Any, data: DataReport) -> int:
    """Return the tokens of the whole training."""
    if not params.max_steps:
        return int(data.tokens * params.epochs)
    packed = getattr(params, "packing", False)
    row = params.row_tokens if packed else data.tokens / max(1, data.rows)
    return int(data.steps * params.batch_size * params.gradient_accumulation * row)


def _chosen(request: Request, backend: Backend[Any], choices: Sequence[Choice]) -> Choice:
    """Return the choice the user named, or the cheapest in a reasonable time that fits."""
    if request.flavor is not None:
        wanted = backend.short_names.get(request.flavor, request.flavor)
        named = next((c for c in choices if c.flavor.name == wanted), None)
        if named is None:
            prices = {c.flavor.name: c.flavor.usd_per_hour for c in choices}
            raise UnknownFlavor(backend.name, request.flavor, prices)
        return named
    fitting = [c for c in choices if c.safe] or [c for c in choices if c.fits] or list(choices)
    soon = [c for c in fitting if c.estimate.minutes.expected <= PATIENCE_MINUTES]
    return min(soon or fitting, key=_worth)


def _worth(choice: Choice) -> tuple[float, float]:
    return choice.estimate.usd.expected, choice.estimate.minutes.expected


def _say_memory(
    chosen: Choice, fitting: Sequence[Choice], backend: Backend[Any], findings: Findings
) -> None:
    need, there = chosen.footprint, gibibytes(capacity(chosen.flavor))
    where = chosen.flavor.name
    if not chosen.fits:
        cheapest = min(fitting, key=_worth, default=None)
        findings.error(
            "memory",
            f"needs {gibibytes(need.low)} at least ({gibibytes(need.expected)} expected), and "
            f"{where} has {there} · {need.explained}",
            f"--backend {backend.name}-{cheapest.flavor.name} fits: {_about(cheapest)}"
            if cheapest
            else "a smaller model, --peft, --quantization int4 or a smaller --block-size",
        )
        return
    text = (
        f"{gibibytes(need.expected)} expected ({gibibytes(need.low)} to {gibibytes(need.high)}) "
        f"of {there} on {where} · {need.explained}"
    )
    if chosen.safe:
        findings.ok("memory", text)
    else:
        findings.warn("memory", f"{text} · may not fit", "a smaller --batch-size or --block-size")


def _say_price(
    chosen: Choice,
    fitting: Sequence[Choice],
    backend: Backend[Any],
    findings: Findings,
    limits: Limits,
) -> None:
    minutes, usd = chosen.estimate.minutes, chosen.estimate.usd
    time = f"{_time(minutes.expected)} expected ({_time(minutes.low)} to {_time(minutes.high)})"
    if not chosen.flavor.usd_per_hour:
        findings.ok("price", f"{time}, nothing to pay")
    elif limits.max_usd is not None and limits.max_usd < usd.low:
        findings.error(
            "price",
            f"--max-cost {money(limits.max_usd)} is less than this costs at least: "
            f"{money(usd.low)}, {money(usd.expected)} expected",
            f"--max-cost {usd.high:.2f}",
        )
        return
    else:
        findings.ok(
            "price",
            f"{time} at {money(chosen.flavor.usd_per_hour)}/h  →  {money(usd.expected)} expected, "
            f"{money(chosen.estimate.usd_at_most)} at most",
        )
    if limits.max_seconds is not None and limits.max_seconds < minutes.low * 60:
        findings.warn(
            "price",
            f"--max-duration {roughly(limits.max_seconds)} ends it before it is done: "
            "it will stop resumable",
        )
    if chosen.flavor.accelerators and accelerator_of(chosen.flavor) is None:
        guess = f"{UNKNOWN_PEAK / 1e12:.0f} TFLOP/s"
        findings.warn("price", f"{chosen.flavor.accelerator} is not known here: taken for {guess}")
    _say_alternative(chosen, fitting, backend, findings)


def _say_alternative(
    chosen: Choice, fitting: Sequence[Choice], backend: Backend[Any], findings: Findings
) -> None:
    """Name the cheapest other machine in reasonable time, and if that is slower a faster one."""
    soon = [c for c in fitting if c.estimate.minutes.expected <= PATIENCE_MINUTES]
    other = min(soon, key=_worth, default=None)
    if other is not None:
        findings.ok("price", f"{other.flavor.name} would fit too: {_about(other)}")


def _check_precision(params: Any, flavor: Flavor, findings: Findings) -> None:
    if getattr(params, "mixed_precision", None) == "bf16" and accelerator_of(flavor) in NO_BF16:
        findings.error(
            "backend", f"{flavor.accelerator} has no bfloat16.", "--mixed-precision fp16"
        )


def _about(choice: Choice) -> str:
    return f"about {_time(choice.estimate.minutes.expected)}, {choice.cost}"


def _time(minutes: float) -> str:
    return roughly(minutes * 60)
