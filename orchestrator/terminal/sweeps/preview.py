"""`hubtrain sweep --dry-run`: the trials as they would begin, and what all of them would take."""

from __future__ import annotations

from orchestrator.api.documents import SweepPlan
from orchestrator.exits import MENDABLE
from orchestrator.flow import Checked, Refused
from orchestrator.preflight.estimate import Range
from orchestrator.sweep import SweepSpec, Trial
from orchestrator.sweep.begin import preview
from orchestrator.sweep.space import shown
from orchestrator.terminal.desk import Desk
from orchestrator.words import count, money
from worker.duration import roughly
from worker.finding import wrong_of


def previewed(desk: Desk, spec: SweepSpec) -> int:
    """Show the trials and what they would take; returns the exit code."""
    with desk.screen.waiting("Checking") as on_step:
        found = preview(desk, spec, lambda number, of: on_step(f"trial {number + 1} of {of}"))
    header = (
        "TRIAL",
        *(one.setting.upper() for one in spec.space),
        "COST",
        "AT MOST",
        "TIME",
        "CHECK",
    )
    desk.screen.say("")
    desk.screen.table(
        header, [_preview_row(t, c, spec) for t, c in found.trials], spare=("TIME", "AT MOST")
    )
    usd, minutes = found.sum(lambda r: r.estimate.usd), found.sum(lambda r: r.estimate.minutes)
    if found.total > len(found.trials):
        first = f"The first {len(found.trials)} of {found.total}"
        desk.screen.say("", f"{first}; the others follow from what these measure.")
    desk.screen.say("", f"all   {_range_of(usd, minutes, spec)}")
    wrong = sum(isinstance(one, Refused) for _, one in found.trials)
    if wrong:
        desk.screen.say(f"{count(wrong, 'trial')} would be refused.")
    desk.screen.say("Nothing was created.")
    desk.screen.document(SweepPlan.of(spec, found).model_dump())
    return MENDABLE if wrong else 0


def _range_of(usd: Range, minutes: Range, spec: SweepSpec) -> str:
    times = " to ".join(roughly(60 * m) for m in (minutes.low, minutes.high))
    text = f"{roughly(60 * minutes.expected)} of machines expected ({times})"
    if not usd.high:
        return text
    text += f" · {money(usd.expected)} expected ({money(usd.low)} to {money(usd.high)})"
    if spec.max_usd is not None and usd.high > spec.max_usd:
        text += f"; --max-cost ends it at {money(spec.max_usd)}"
    return text


def _preview_row(trial: Trial, checked: Checked | Refused, spec: SweepSpec) -> tuple[str, ...]:
    tried = (shown(trial.settings[one.setting]) for one in spec.space)
    if isinstance(checked, Refused):
        wrong = [f.text for f in wrong_of(checked.report.findings)]
        return f"t{trial.number}", *tried, "-", "-", "-", "; ".join(wrong)
    each, paid = checked.report.estimate, checked.report.flavor.usd_per_hour
    costs = (money(each.usd.expected), money(each.usd_at_most)) if paid else ("free", "free")
    return f"t{trial.number}", *tried, *costs, roughly(60 * each.minutes.expected), "ok"
