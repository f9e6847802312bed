"""A sweep at the terminal: what it tries and costs, a live table, one explained end."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.exits import DETACHED, FAILED
from orchestrator.flow import Checked, Refused
from orchestrator.jobs.watch import Silence
from orchestrator.settings.job import LimitSettings
from orchestrator.settings.layers import FLAGS, Catalog, Layer, Settings, merge
from orchestrator.settings.sweep import SweepSettings
from orchestrator.sweep import Placed, Running, SweepSpec, Trial
from orchestrator.sweep.begin import begun, check_first, draft, judged
from orchestrator.sweep.best import refuse_taken, target_of
from orchestrator.sweep.chosen import is_grid, search_of
from orchestrator.sweep.detached import start
from orchestrator.sweep.documents import Sweep, SweptTrial
from orchestrator.sweep.ending import left, place_best
from orchestrator.sweep.kept import seen
from orchestrator.sweep.search import Search
from orchestrator.sweep.space import shown
from orchestrator.sweep.spec import MAY_CHANGE, alone, known, names
from orchestrator.sweep.trial import best_of
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.follow import of_silence
from orchestrator.terminal.sweeps.board import (
    NOTHING,
    SPARE,
    columns,
    picture,
    ranked,
    row,
    summary,
)
from orchestrator.terminal.sweeps.preview import previewed
from orchestrator.terminal.train import refused
from orchestrator.words import count, money
from worker.duration import duration
from worker.errors import BadConfig, HubtrainError
from worker.nearest import hint, nearest
from worker.task import Finding, Task


class _Changes(SweepSettings, LimitSettings):
    """What may be said when a sweep is gone on with."""


def sweep(
    desk: Desk,
    task: Task[Any],
    settings: Settings,
    *,
    tried: Mapping[str, Any],
    how: SweepSettings,
    dry_run: bool,
    detach: bool = False,
) -> int:
    """Begin a sweep, or go on with it if it was begun; returns the exit code."""
    spec = draft(desk, task, settings, tried, how)
    there = begun(desk, spec)
    if there is not None and not dry_run:
        return _detached(desk, there) if detach else _run(desk, there)
    with desk.screen.waiting("Checking the first trial") as on_step:
        checked = check_first(desk, spec, on_step)
    if isinstance(checked, Refused):
        return refused(desk, checked)
    desk.screen.say(f"Checked in {duration(checked.report.seconds)}, nothing rented")
    desk.screen.findings(checked.report.findings)
    spec = judged(spec, checked)
    if (target := target_of(spec, checked.report.owner)) and there is None:
        refuse_taken(desk, target)
    desk.screen.findings(_about(spec, search_of(spec, keeps=False), checked))
    if dry_run:
        return previewed(desk, spec)
    return _detached(desk, spec) if detach else _run(desk, spec, checked)


def go_on(
    name: str, changes: Mapping[str, Any], words: Sequence[str], *, detach: bool = False
) -> int:
    """Go on with a sweep by its name, with some of what may change; returns the exit code.

    Raises `BadConfig`, also for `words` that are none of this command's.
    """
    rest = [word for word in words if word != "--json"]
    spec = known(name)
    if spec is None:
        there = names()
        near = hint(nearest(name, there)) or (f" Sweeps here: {', '.join(there)}." if there else "")
        raise BadConfig(f"no sweep {name!r} was begun on this machine.{near}")
    may = {*MAY_CHANGE, "max_cost"}
    if wrong := [*rest, *(f"--{one.replace('_', '-')}" for one in changes if one not in may)]:
        raise BadConfig(
            f"{wrong[0]}: --resume goes on with a sweep as it is; with it go --parallel, --trials,"
            " --keep, --max-cost and --json alone."
        )
    if str(Path.cwd()) != spec.folder:
        raise BadConfig(f"{name} was begun in {spec.folder}.", fix=f"cd {spec.folder}")
    desk, spec = Desk("--json" in words), _with(spec, changes)
    return _detached(desk, spec) if detach else _run(desk, spec)


def _with(spec: SweepSpec, changes: Mapping[str, Any]) -> SweepSpec:
    told = merge(Catalog((_Changes,)), [Layer(FLAGS, changes)]).of(_Changes)
    how = spec.how.model_copy(update={n: getattr(told, n) for n in changes if n in MAY_CHANGE})
    return replace(spec, how=how, max_usd=told.max_cost or spec.max_usd)


def _run(desk: Desk, spec: SweepSpec, first: Checked | None = None) -> int:
    with alone(spec.name):
        spec.write()
        search = search_of(spec)
        running = Running(desk, spec, search, first)
        try:
            with desk.screen.board(spec, search.total) as board:
                running.on_trials, running.on_progress = board.show, board.doing
                _tell(desk, running)
                running.run()
        except KeyboardInterrupt:
            _leave(desk, running)
            _tell_programs(desk, left(running))
            sys.exit(DETACHED)
        except HubtrainError:
            _leave(desk, running)
            raise
        return _close(desk, running)


def _tell_programs(desk: Desk, found: Sweep) -> None:
    desk.screen.document(found.model_dump(mode="json", by_alias=True))


def _detached(desk: Desk, spec: SweepSpec) -> int:
    """Let a sweep go on by itself; returns the exit code."""
    start(desk, spec)
    desk.screen.say(
        "",
        f"{spec.name} goes on by itself on this machine.",
        f"see it    hubtrain status {spec.name}",
        f"stop it   hubtrain cancel {spec.name}",
    )
    _tell_programs(desk, seen(desk, spec))
    return 0


def status(desk: Desk, spec: SweepSpec) -> int:
    """Say how a sweep is; returns the exit code: 1 for one that ended without a model."""
    found = seen(desk, spec)
    _tell_programs(desk, found)
    tried = [one.setting for one in spec.space]
    header = ("TRIAL", "JOB", *map(str.upper, tried), spec.measure.name.upper(), "COST", "STATE")
    rows = [_seen(trial, tried) for trial in found.trials]
    desk.screen.table(header, rows, whole=2, spare=("COST",))
    over = sum(one.state is not None and one.state.final for one in found.trials)
    where = f" · best t{found.best}: {found.model}" if found.best is not None else ""
    desk.screen.say("", f"{spec.name}: {over} of {count(found.total, 'trial')} ended{where}")
    if found.running:
        desk.screen.say("it goes on", f"stop it   hubtrain cancel {spec.name}")
        return 0
    if found.ended_early:
        desk.screen.findings([Finding("warn", "ended early", found.ended_early)])
        desk.screen.say(f"go on     hubtrain sweep --resume {spec.name}")
    return FAILED if found.best is None or found.ended_early else 0


def _seen(trial: SweptTrial, tried: Sequence[str]) -> tuple[str, ...]:
    state = "waiting" if trial.state is None else str(trial.state)
    if trial.as_ is not None:
        state = f"as t{trial.as_}"
    state = f"refused: {trial.refused}" if trial.refused else state
    value = NOTHING if trial.value is None else f"{trial.value:.4f}"
    cost = money(trial.cost_usd) if trial.cost_usd else NOTHING
    settings = (shown(trial.settings.get(name)) for name in tried)
    return f"t{trial.trial}", trial.job or NOTHING, *settings, value, cost, state


def _tell(desk: Desk, running: Running) -> None:
    """Let it be said which trials are out of reach, and which could not be launched."""

    def silent(trial: Trial, silence: Silence) -> None:
        found = of_silence(silence)
        desk.screen.findings([replace(found, text=f"t{trial.number}: {found.text}")])

    def trouble(trial: Trial, error: HubtrainError) -> None:
        desk.screen.findings([Finding("warn", f"t{trial.number}", error.message, error.fix)])

    running.on_silence, running.on_trouble = silent, trouble


def _leave(desk: Desk, running: Running) -> None:
    """Say what goes on, what it costs and how to stop it."""
    spec, now = running.spec, desk.clock.now()
    going = [t for t in running.trials if t.record and not t.record.story.state.final]
    if not going:
        desk.screen.say("", "Left. No trial runs, and none is begun any more.")
    else:
        prices = [t.record.spec.machine.usd_per_hour for t in going if t.record]
        named = ", ".join(f"t{t.number} ({t.record.job_id})" for t in going if t.record)
        costs = f" · {money(sum(prices))}/h in all" if sum(prices) else ""
        further = (
            "What waits there begins by itself" if running.queues else "No further trial is begun"
        )
        desk.screen.say("", f"Left running: {named}{costs}. {further}.")
    desk.screen.say(f"go on     hubtrain sweep --resume {spec.name}")
    desk.screen.say(f"stop it   hubtrain cancel {spec.name}" if going else "")
    desk.screen.say(summary(running.trials, spec, running.search.total, now))


def _close(desk: Desk, running: Running) -> int:
    """Show all trials, put the best in its place, and return the exit code."""
    spec, now = running.spec, desk.clock.now()
    trials = ranked(running.trials, spec)
    desk.screen.say("")
    desk.screen.table(columns(spec), [row(t, spec, now) for t in trials], whole=2, spare=SPARE)
    if lines := picture(running.trials, spec):
        desk.screen.say("", *lines)
    desk.screen.say("", summary(running.trials, spec, running.search.total, now))
    if worth := running.search.worth():
        told = ", ".join(f"{name} {share:.0%}" for name, share in worth.items())
        desk.screen.say(f"what mattered   {told} (Optuna's PED-ANOVA, of these trials alone)")
    placed, trouble = _placed(desk, running)
    if running.ended_early:
        desk.screen.findings([Finding("warn", "ended early", running.ended_early)])
        desk.screen.say(f"go on   hubtrain sweep --resume {spec.name}{_more(running)}")
    _tell_programs(desk, left(running, placed))
    best = best_of(running.trials, spec.measure)
    return 0 if best and not running.ended_early and not trouble else FAILED


def _more(running: Running) -> str:
    """Return what has to be larger for a sweep that its money ended."""
    most = running.spec.max_usd
    return " --max-cost …" if most is not None and "left of" in running.ended_early else ""


def _placed(desk: Desk, running: Running) -> tuple[Placed | None, bool]:
    """Put the best model in its place, and say where it is; the place, and whether it failed."""
    spec = running.spec
    best = best_of(running.trials, spec.measure)
    if best is None or best.record is None:
        desk.screen.say("no trial has a model")
        return None, False
    tried = ", ".join(f"{name} {shown(value)}" for name, value in best.settings.items())
    desk.screen.say(f"best    t{best.number}: {tried}")
    try:
        placed = place_best(running)
    except HubtrainError as error:
        desk.screen.findings([Finding("error", "model", error.message, error.fix)])
        return None, True
    if placed is None:
        desk.screen.say(f"model   {best.model}")
        return None, False
    desk.screen.say(f"model   {placed.url}")
    if placed.removed:
        desk.screen.say(f"deleted {count(len(placed.removed), 'repo')} of other trials")
    elif any(trial.record for trial in running.trials if trial is not best):
        say = "models of the other trials stay in private repos"
        desk.screen.say(f"{say}; hubtrain sweep --resume {spec.name} --keep best deletes them")
    return placed, False


def _about(spec: SweepSpec, search: Search, checked: Checked) -> list[Finding]:
    """Return what is tried, how it is judged, and what that may cost."""
    kind = "a grid" if is_grid(spec) else f"drawn by Optuna ({spec.how.sampler or 'tpe'})"
    tried = " · ".join(map(str, spec.space))
    better = f"{spec.measure.name}, the {spec.measure.better} the better"
    found = [Finding("ok", "sweep", f"{count(search.total, 'trial')}, {kind} · {tried}")]
    found.append(Finding("ok", "sweep", f"judged by {better} · {spec.how.parallel} at a time"))
    if spec.measure.name == "loss" and not checked.report.known.data.valid_rows:
        text = "no validation split: the loss on rows that were learned says little of a model"
        found.append(Finding("warn", "sweep", text, "--valid-split 0.1"))
    each, many = checked.report.estimate, search.total
    if checked.report.flavor.usd_per_hour:
        costs = (
            f"{money(each.usd.expected * many)} expected, {money(each.usd_at_most * many)} at most"
        )
        bound = "" if spec.max_usd is None else f" · no more than {money(spec.max_usd)} is spent"
        text = f"{count(many, 'trial')} like the first: {costs}{bound}"
        found.append(Finding("ok", "price", text))
    return found
