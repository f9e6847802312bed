"""`hubtrain rerun --verify` at the terminal: the two curves once the job has ended."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.exits import FAILED, MENDABLE
from orchestrator.flow import Checked
from orchestrator.jobs.records import Record
from orchestrator.original import Original, described
from orchestrator.terminal.desk import Desk
from orchestrator.verify import Gap, Verdict, verified
from orchestrator.words import count
from worker.errors import BadConfig
from worker.finding import Finding
from worker.shorten import some


@dataclass(frozen=True)
class Verify:
    """What is to follow a training that is done once more."""

    original: Original
    tolerance: float

    def possible(self, desk: Desk, checked: Checked, *, detach: bool) -> bool:
        """Refuse where nothing could be compared. Raises `BadConfig`."""
        if detach:
            raise BadConfig(
                "--verify compares once the job has ended, and --detach leaves it before.",
                fix="Leave out one; the same command with --verify later finds the same job.",
            )
        if not self.original.manifest.curve:
            raise BadConfig(f"{self.original.where} has no curve to compare with.")
        return True

    def plan(self) -> str:
        """Return nothing: comparing creates nothing."""
        return ""

    def follow(self, desk: Desk, record: Record) -> int:
        """Compare, say what came of it, and return the exit code."""
        if record.job_id == self.original.spec.job_id:
            said = f"{record.job_id} is the original itself: there is nothing to compare."
            desk.screen.error(said, "--project-name ANOTHER", exit_code=MENDABLE)
            return MENDABLE
        manifest = self.original.manifest
        verdict = verified(manifest, described(record), record.story, self.tolerance)
        desk.screen.say("", f"{record.job_id} beside {self.original.where}")
        desk.screen.findings(_found(gap, verdict.tolerance) for gap in verdict.gaps)
        desk.screen.say(*_summed_up(verdict))
        desk.screen.document({"verify": verdict.to_json()})
        return 0 if verdict.same else FAILED


def _found(gap: Gap, tolerance: float) -> Finding:
    level = "ok" if gap.within(tolerance) else "error"
    text = f"{count(gap.steps, 'step')} · largest difference {gap.largest:.2g}"
    if gap.largest:
        text += f", at step {gap.step:,}: {gap.then:.6g} then, {gap.now:.6g} now"
    if gap.lacking:
        text += f" · not measured at {count(len(gap.lacking), 'step')}: {some(gap.lacking)}"
    return Finding(level, gap.name.replace("_", " "), text)


def _summed_up(verdict: Verdict) -> list[str]:
    within = f"within {verdict.tolerance:g}"
    known = [f"  {one}" for one in verdict.unlike]
    if verdict.same:
        return (
            [f"The same {within}, though these differ:", *known]
            if known
            else [f"The same {within}."]
        )
    if known:
        return [f"Not the same {within}. What is known to differ:", *known]
    return [
        f"Not the same {within}, and nothing is known to differ: settings, rows, versions and"
        " machine are those of the original.",
    ]
