"""Verbs over sweeps: one job with many settings, and the best of its models."""

from __future__ import annotations

import math
from typing import Any

from orchestrator.api import requests
from orchestrator.api.answers import RemovedSweep, StartedSweep, SweepList
from orchestrator.api.arguments import as_arguments
from orchestrator.api.documents import SweepPlan
from orchestrator.api.errors import CheckRefused
from orchestrator.api.launching import file_of, gathered_with
from orchestrator.api.verb import Caller, verb
from orchestrator.flow import Checked, Refused
from orchestrator.jobs.client import Client
from orchestrator.preflight import CheckReport
from orchestrator.sweep import kept
from orchestrator.sweep import spec as sweep_specs
from orchestrator.sweep.begin import begun, check_first, draft, how_of, judged, preview, tries_of
from orchestrator.sweep.best import refuse_taken, target_of
from orchestrator.sweep.chosen import search_of
from orchestrator.sweep.detached import start
from orchestrator.sweep.documents import Sweep
from orchestrator.sweep.spec import SweepSpec
from orchestrator.words import money
from worker.errors import BadConfig

LOOK_SECONDS = 1.0


@verb()
def check_sweep(caller: Caller, asked: requests.CheckSweep) -> SweepPlan:
    """Check the trials of a sweep, and sum up what they would take; nothing is created."""
    client = caller.client
    spec = _drafted(client, asked)
    spec = judged(spec, _passed(client, spec))
    found = preview(client, spec, lambda number, of: caller.on_progress("checking", number / of))
    return SweepPlan.of(spec, found, as_arguments)


@verb(changes=True)
def start_sweep(caller: Caller, asked: requests.StartSweep) -> StartedSweep:
    """Check a sweep and let it go on by itself, on the machine that hubtrain runs on.

    The same call again goes on with it where it stopped. Follow it with `sweep`; its trials are
    jobs.
    """
    client = caller.client
    drafted = _drafted(client, asked)
    there = begun(client, drafted)
    if there is not None and sweep_specs.is_run(there.name):
        return StartedSweep(sweep=kept.seen(client, there), existed=True)
    report = None
    if there is None or not client.records.of_sweep(there.name):
        first = _passed(client, drafted)
        spec, report = judged(there or drafted, first), first.report
        usd = report.flavor.usd_per_hour
        if there is None and (target := target_of(spec, report.owner)):
            refuse_taken(client, target)
    else:
        spec = there
        usd = client.records.of_sweep(spec.name)[0].spec.machine.usd_per_hour
    if caller.needs_cap and usd and spec.max_usd is None:
        raise _unbounded(spec, usd, report)
    start(client, spec)
    findings = as_arguments(report).findings if report else ()
    return StartedSweep(sweep=kept.seen(client, spec), existed=False, findings=findings)


@verb()
def sweeps(caller: Caller, asked: requests.Nothing) -> SweepList:
    """List the sweeps that were begun on this machine."""
    found = (_known(name) for name in sweep_specs.names())
    return SweepList(sweeps=[kept.seen(caller.client, spec) for spec in found])


@verb()
def sweep(caller: Caller, asked: requests.SweepAsked) -> Sweep:
    """Say how a sweep is: its trials, the best of them; `wait_seconds` waits for its end."""
    spec, clock = _known(asked.sweep), caller.client.clock
    until = clock.monotonic() + asked.wait_seconds
    while (left := until - clock.monotonic()) > 0 and sweep_specs.is_run(spec.name):
        clock.sleep(min(LOOK_SECONDS, left))
    return kept.seen(caller.client, spec)


@verb(changes=True)
def cancel_sweep(caller: Caller, asked: requests.NamedSweep) -> Sweep:
    """Stop all trials of a sweep and what they cost; no further one begins.

    `start_sweep` as before goes on with it.
    """
    spec = _known(asked.sweep)
    kept.stop(caller.client, spec)
    return kept.seen(caller.client, spec)


@verb(changes=True, removes=True)
def remove_sweep(caller: Caller, asked: requests.RemoveSweep) -> RemovedSweep:
    """Delete a sweep: what its trials left at their providers, and all records. Models stay."""
    client, spec = caller.client, _known(asked.sweep)
    removed = kept.remove(client, spec, force=asked.force, data=asked.data)
    return RemovedSweep(sweep=spec.name, jobs=removed)


def _drafted(client: Client, asked: requests.CheckSweep) -> SweepSpec:
    """Return the sweep that is asked for. Raises `BadConfig`."""
    file = file_of(client, asked)
    block: Any = file.sweep if file else {}
    given = asked.how.model_dump(exclude_unset=True)
    how = how_of(block, given, file.source if file else "")
    task, settings = gathered_with(client, asked, file)
    tries = {**tries_of(block, file.source if file else ""), **asked.tries}
    return draft(client, task, settings, tries, how)


def _passed(client: Client, spec: SweepSpec) -> Checked:
    """Return the check of the first trial. Raises `CheckRefused`."""
    found = check_first(client, spec, lambda step: None)
    if isinstance(found, Refused):
        raise CheckRefused(found.report)
    return found


def _unbounded(spec: SweepSpec, usd: float, report: CheckReport | None) -> BadConfig:
    """Return what is wrong with a sweep that costs and that nothing bounds."""
    fix = "max_cost, which bounds all trials together"
    if report is not None:
        total = search_of(spec, keeps=False).total
        most = math.ceil(100 * total * report.estimate.usd_at_most) / 100
        fix = f"max_cost={most:.2f}, the high estimate of all {total} trials"
    return BadConfig(f"each trial costs {money(usd)} an hour, and nothing bounds them.", fix=fix)


def _known(name: str) -> SweepSpec:
    """Return the sweep of this name. Raises `BadConfig`."""
    found = sweep_specs.known(name) if name in sweep_specs.names() else None
    if found is None:
        there = ", ".join(sweep_specs.names()) or "none"
        raise BadConfig(f"no sweep {name!r} was begun on this machine; there are: {there}.")
    return found
