"""Whether the job fits the machine, how long it takes there, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from backends.base import Backend, Flavor
from orchestrator.preflight.estimate import (
    NO_BF16,
    UNKNOWN_PEAK,
    Estimate,
    Work,
    accelerator_of,
    capacity,
    estimate,
)
from orchestrator.preflight.model import BaseModel
from orchestrator.preflight.pace import History
from orchestrator.preflight.report import Findings
from orchestrator.preflight.request import CheckRequest
from orchestrator.words import money
from worker import launch
from worker.contract import ALONE, Limits, Parallel
from worker.duration import roughly
from worker.footprint import LEAST_FRAMEWORK
from worker.task import DataReport, Footprint

PATIENCE_MINUTES = 12 * 60
"""A machine that takes longer is not chosen for a user who named none, however cheap it is."""

MUCH_FASTER = 0.6
"""Share of the time that makes another machine worth naming."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A machine and what the job takes on it."""

    flavor: Flavor
    footprint: Footprint
    """Of each process."""

    estimate: Estimate
    parallel: Parallel

    @property
    def capacity(self) -> float:
        """Memory that each process has, in bytes."""
        return capacity(self.flavor, self.parallel.processes)

    @property
    def fits(self) -> bool:
        """Whether the job may fit: in the low case it does."""
        return self.footprint.low <= self.capacity

    @property
    def safe(self) -> bool:
        """Whether the job fits even in the high case."""
        return self.footprint.high <= self.capacity

    @property
    def main_memory(self) -> float:
        """Main memory that the first process's machine needs to save a divided model, in bytes."""
        if self.parallel.strategy != "fsdp":
            return 0.0
        each = LEAST_FRAMEWORK if self.flavor.accelerators else self.footprint.low
        return self.footprint.together + each * self.parallel.processes / self.parallel.nodes

    @property
    def cost(self) -> str:
        return money(self.estimate.usd.expected) if self.flavor.usd_per_hour else "free"


def check_machine(  # noqa: PLR0917
    request: CheckRequest,
    model: BaseModel,
    data: DataReport,
    flavors: Sequence[Flavor],
    backend: Backend[Any],
    history: History = History(),  # noqa: B008 (frozen)
) -> tuple[Choice | None, Findings]:
    """Return the machine, named or the cheapest that fits, and what there is to say about it."""
    findings = Findings()
    limits = request.job.limits()
    wanted = request.flavor and backend.short_names.get(request.flavor, request.flavor)
    all_of_them = choices(request, model, data, flavors, backend, history, wanted=wanted)
    able = [c for c in all_of_them if not unable(request, c, backend)]
    offered = able if able and wanted is None else all_of_them
    chosen = findings.attempt("backend", lambda: _chosen(wanted, backend, offered))
    if chosen is not None:
        fitting = [c for c in able if c.safe and c is not chosen]
        memory_advice = _advice(request, chosen)
        _say_memory(chosen, fitting, backend.name, memory_advice, findings)
    if chosen is not None and chosen.fits:
        _say_price(chosen, fitting, findings, limits, _what(request, data))
        if why := unable(request, chosen, backend):
            findings.error("backend", *why)
        _say_idle(chosen, request, findings)
        if said := launch.read_as(request.params, chosen.parallel):
            findings.ok("backend", said)
    return chosen, findings


def choices(  # noqa: PLR0917 (what a machine is judged by)
    request: CheckRequest,
    model: BaseModel,
    data: DataReport,
    flavors: Sequence[Flavor],
    backend: Backend[Any],
    history: History,
    *,
    wanted: str | None = None,
) -> list[Choice]:
    """Return what the job takes on each machine, by the provider's name of the `wanted` one.

    GPUs that are lent for moments are left out, unless one is wanted.
    """
    runs = history.of(request.kind, backend.name, model.facts.parameters)
    footprint = partial(request.task.footprint, request.params, model.facts, data)
    how = partial(
        _choice,
        request,
        _work(request, model, data),
        footprint,
        request.job.limits(),
        rented=backend.bills,
        runs=runs,
    )
    return [how(f) for f in flavors if f.name == wanted or not (backend.bills and _lent(f))]


def _choice(
    request: CheckRequest,
    work: Work,
    footprint: Callable[[float | None], Footprint],
    limits: Limits,
    flavor: Flavor,
    *,
    rented: bool,
    runs: History,
) -> Choice:
    """Return what the job takes on a machine, by as many processes as suit it."""
    params, together = request.params, request.together
    gpus, nodes = flavor.accelerators, flavor.nodes
    processes = launch.processes_of(params, gpus, together=together, nodes=nodes)
    memory = capacity(flavor, processes)
    whole = footprint(memory)
    takes = partial(estimate, work, flavor, limits, rented=rented)
    pace = partial(runs.pace, flavor.name)
    if processes == 1:
        return Choice(flavor, whole, takes(pace=pace), ALONE)
    several = Parallel(processes=processes, nodes=nodes)
    least = footprint(None)
    parallel = launch.chosen(params, several, whole, least, memory)
    size = least.divided(processes) if parallel.strategy == "fsdp" else whole
    return Choice(flavor, size, takes(parallel=parallel, pace=pace), parallel)


def _work(request: CheckRequest, model: BaseModel, data: DataReport) -> Work:
    """Return what the job does: where it goes on from a checkpoint, what is left to do."""
    task, params, earlier = request.task, request.params, request.earlier
    left = earlier.left(data.steps) if earlier else 1.0
    return Work(
        flops=task.flops(params, model.facts, data) * left,
        fetched_bytes=model.stored_bytes,
        pushed_bytes=task.pushed_bytes(params, model.stored_bytes),
        passes=data.steps * getattr(params, "gradient_accumulation", 1) * left,
        seconds=task.seconds(params, model.facts, data) * left,
    )


def _lent(flavor: Flavor) -> bool:
    """Whether a provider's GPU costs nothing: it is lent for moments, not rented for a job."""
    return bool(flavor.accelerators) and not flavor.usd_per_hour


def _chosen(wanted: str | None, backend: Backend[Any], choices: Sequence[Choice]) -> Choice:
    """Return the choice the user named, or the best of those that fit."""
    if wanted is None:
        fitting = [c for c in choices if c.safe] or [c for c in choices if c.fits] or choices
        chosen = best(fitting)
        assert chosen is not None, "every backend has a machine"
        return chosen
    for choice in choices:
        if wanted in (choice.flavor.name, *choice.flavor.short_names):
            return choice
    raise backend.unknown(wanted, [choice.flavor for choice in choices])


def best(choices: Sequence[Choice]) -> Choice | None:
    """Return the cheapest in a reasonable time; where none is, the cheapest; none of none."""
    soon = [c for c in choices if c.estimate.minutes.expected <= PATIENCE_MINUTES]
    return min(soon or choices, key=_worth, default=None)


def _worth(choice: Choice) -> tuple[float, float]:
    return choice.estimate.usd.expected, choice.estimate.minutes.expected


def _say_memory(
    chosen: Choice, fitting: Sequence[Choice], backend: str, memory_advice: str, findings: Findings
) -> None:
    need, there = chosen.footprint, _gb(chosen.capacity)
    where = f"{_each(chosen)}{chosen.flavor.name}"
    if not chosen.fits:
        cheapest = best(fitting)
        findings.error(
            "memory",
            f"needs {_gb(need.low)} at least ({_gb(need.expected)} expected), and "
            f"{where} has {there} · {need.explained}",
            f"--backend {backend}-{cheapest.flavor.name} fits: {_about(cheapest)}"
            if cheapest
            else memory_advice,
        )
        return
    text = (
        f"{_gb(need.expected)} expected ({_number(need.low)} to {_number(need.high)}) "
        f"of {there} on {where} · {need.explained}"
    )
    if chosen.safe:
        findings.ok("memory", text)
    else:
        findings.warn("memory", f"{text} · may not fit", memory_advice)


def _advice(request: CheckRequest, chosen: Choice) -> str:
    """Return what to type for less memory, or for more of it where a setting holds it back."""
    advice = request.task.memory_advice(request.params)
    if not chosen.flavor.memory_setting or chosen.flavor.accelerators:
        return advice
    return f"{chosen.flavor.memory_setting} {_number(chosen.footprint.high)}, or {advice}"


def _each(chosen: Choice) -> str:
    """Return whose memory it is, where several processes train."""
    count = chosen.parallel.processes
    if count == 1:
        return ""
    what = "GPUs" if chosen.flavor.accelerators else "processes"
    held = "the model shared by" if chosen.parallel.strategy == "fsdp" else "the model on each of"
    return f"each, {held} {count} {what} of "


def _say_idle(chosen: Choice, request: CheckRequest, findings: Findings) -> None:
    """Say that GPUs would do nothing."""
    gpus, used = chosen.flavor.accelerators, chosen.parallel.processes
    idle = request.task.uses_accelerators and not request.task.runs_program
    if not idle or used >= gpus:
        return
    text = f"{used} of the {gpus} GPUs of {chosen.flavor.name} would train"
    if request.together:
        findings.warn("backend", text, f"--num-processes {gpus}, or leave it out")
    else:
        findings.warn("backend", f"{text}: {request.way} trains in one process")


def _what(request: CheckRequest, data: DataReport) -> str:
    """Return what of a training the estimate is for, in words: nothing where it is all of it."""
    earlier = request.earlier
    if earlier is None or earlier.start is None:
        return ""
    return f" for the {earlier.left(data.steps):.0%} that are left"


def _say_price(
    chosen: Choice, fitting: Sequence[Choice], findings: Findings, limits: Limits, what: str
) -> None:
    minutes, usd = chosen.estimate.minutes, chosen.estimate.usd
    if not chosen.estimate.known:
        _say_open_end(chosen, findings, limits)
        return
    between = f"({_time(minutes.low)} to {_time(minutes.high)})"
    time = f"{_time(minutes.expected)} expected {between}{what}"
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
    if why := chosen.estimate.pace.words:
        findings.ok("price", why)
    if limits.max_seconds is not None and limits.max_seconds < minutes.low * 60:
        findings.warn(
            "price",
            f"--max-duration {roughly(limits.max_seconds)} ends it before it is done: "
            "no model comes of it",
        )
    if chosen.flavor.accelerators and accelerator_of(chosen.flavor) is None:
        guess = f"{UNKNOWN_PEAK / 1e12:.0f} TFLOP/s"
        findings.warn("price", f"{chosen.flavor.accelerator} is not known here: taken for {guess}")
    _say_alternative(chosen, fitting, findings)


def _say_open_end(chosen: Choice, findings: Findings, limits: Limits) -> None:
    """Say what a job may cost of which nobody knows how long it takes; unbounded it is refused."""
    price, allowed = chosen.flavor.usd_per_hour, limits.seconds(chosen.flavor.usd_per_hour)
    end = "" if math.isinf(allowed) else f", and it is ended after {roughly(allowed)}"
    unknown = f"how long it takes is not known{end}"
    if not price:
        findings.ok("price", f"{unknown}; nothing to pay")
    elif end:
        most = money(chosen.estimate.usd_at_most)
        findings.ok("price", f"{unknown} · {money(price)}/h  →  {most} at most")
    else:
        text = f"{unknown}, and {chosen.flavor.name} costs {money(price)}/h until it ends"
        findings.error(
            "price", text, f"--max-duration 2h, {money(2 * price)} at most, or --max-cost"
        )


def _say_alternative(chosen: Choice, fitting: Sequence[Choice], findings: Findings) -> None:
    """Name the cheapest other machine, or the cheapest that is much faster."""
    most, soon = chosen.estimate.usd.expected, chosen.estimate.minutes.expected
    cheaper = [
        c
        for c in fitting
        if c.estimate.usd.expected < most and c.estimate.minutes.expected <= PATIENCE_MINUTES
    ]
    faster = [c for c in fitting if c.estimate.minutes.expected <= MUCH_FASTER * soon]
    other = min(cheaper or faster, key=_worth, default=None)
    if other is not None:
        findings.ok("price", f"{other.flavor.name} would fit too: {_about(other)}")


def unable(request: CheckRequest, choice: Choice, backend: Backend[Any]) -> tuple[str, str] | None:
    """Return why a machine is not one for this job, and what to type."""
    flavor = choice.flavor
    if why := _not_together(request, choice):
        return why
    if flavor.accelerators and backend.bills and not request.task.uses_accelerators:
        text = f"{flavor.name} is paid for its {flavor.accelerator}, and {request.task.name} trains"
        return f"{text} on the CPU alone.", f"--backend {backend.name} takes the cheapest without"
    if (wants := getattr(request.params, "needs_cuda", None)) and not flavor.accelerators:
        what, fix = wants
        return f"{what} needs an NVIDIA GPU, and {_where(flavor, backend)} has none.", fix
    asked = getattr(request.params, "mixed_precision", None)
    flags = getattr(request.params, "precision_flags", ("", ""))
    if asked == "fp16" and not flavor.accelerator:
        said = f"fp16 needs a GPU, and {_where(flavor, backend)} has none."
        return said, flags[0]
    if asked == "bf16" and accelerator_of(flavor) in NO_BF16:
        return f"{flavor.accelerator} has no bfloat16.", flags[1]
    return None


def _not_together(request: CheckRequest, choice: Choice) -> tuple[str, str] | None:
    """Return why several processes cannot do this job there, and what to type."""
    gpus, asked = choice.flavor.accelerators, getattr(request.params, "num_processes", None) or 1
    if asked > 1 and not request.together:
        return f"{request.way} trains in one process.", "leave --num-processes out"
    if choice.flavor.nodes > 1 and choice.parallel.processes == 1:
        asked_for = f"{choice.flavor.nodes} nodes are asked for"
        return f"{request.way} trains in one process, and {asked_for}.", "one node"
    if gpus and asked > gpus:
        there = f"{choice.flavor.name} has {gpus} GPU{'s' * (gpus > 1)}"
        return f"--num-processes {asked}, and {there}.", "leave it out: all GPUs are used"
    wrong = launch.faults(request.params, choice.parallel, choice.footprint)
    return next(wrong, None) or _not_saved(request, choice)


def _not_saved(request: CheckRequest, choice: Choice) -> tuple[str, str] | None:
    """Return why a model that is divided could not be saved there, and what to type.

    Nothing is known of a machine that does not tell its main memory.
    """
    there, needed = choice.flavor.memory_bytes / choice.flavor.nodes, choice.main_memory
    if not 0 < there < needed:
        return None
    held = _gb(choice.footprint.together)
    text = (
        f"to save a model that is divided (fsdp), one process holds {held} in main memory; "
        f"{_gb(needed)} are needed, and {choice.flavor.name} has {_gb(there)}."
    )
    return text, launch.less_to_save(request.params)


def _where(flavor: Flavor, backend: Backend[Any]) -> str:
    return flavor.description if flavor.name == backend.name else flavor.name


def _about(choice: Choice) -> str:
    return f"about {_time(choice.estimate.minutes.expected)}, {choice.cost}"


def _number(size: float) -> str:
    return f"{size / 1e9:.3g}"


def _gb(size: float) -> str:
    return f"{_number(size)} GB"


def _time(minutes: float) -> str:
    return roughly(minutes * 60)
