"""Actions on a job that has ended: resume it or delete it, each with its confirmation."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator import flow
from orchestrator.app.board import Board
from orchestrator.flow import AlreadyDone, Checked, Refused
from orchestrator.jobs.removal import remove_job
from orchestrator.jobs.resumable import checkpoint_of
from orchestrator.jobs.resumed import job_to_resume, successor
from orchestrator.words import money
from worker.duration import roughly
from worker.errors import BadConfig, HubtrainError
from worker.finding import why_refused


@dataclass
class ResumeAction:
    """Resumes jobs of one user. Each is checked when its confirmation is shown."""

    board: Board
    _checked: dict[str, Checked] = field(default_factory=dict)

    def question(self, job_id: str) -> str:
        """Check the job that would go on, and return what is asked before it does, price included.

        Takes seconds. Raises `HubtrainError` that names all that is wrong.
        """
        client = self.board.client
        record = job_to_resume(client, job_id)
        if done := successor(client, record):
            raise BadConfig(f"{done.job_id} has gone on with it already, and succeeded.")
        checked = flow.check(client, flow.resume(client, record, {}))
        if isinstance(checked, Refused):
            raise _refused(checked)
        self._checked[job_id] = checked
        estimate, flavor = checked.report.estimate, checked.report.flavor
        last = checkpoint_of(record)
        step = f" from step {last.step:,}" if last else ""
        price = "free"
        if flavor.usd_per_hour:
            most = money(estimate.usd_at_most)
            price = f"about {money(estimate.usd.expected)}, {most} at most"
        time = f"about {roughly(estimate.minutes.expected * 60)}, " if estimate.known else ""
        return f"Go on with {record.spec.project}{step} on {flavor.name}: {time}{price}?"

    def go_on(self, job_id: str) -> None:
        """Launch the job that was asked about, in a thread; the board tells what becomes of it."""
        if (checked := self._checked.pop(job_id, None)) is not None:
            self.board.do(f"Going on with {job_id}", lambda: self._launched(checked))

    def _launched(self, checked: Checked) -> str:
        outcome = flow.submit(self.board.client, checked)
        if isinstance(outcome, Refused):
            raise _refused(outcome)
        if isinstance(outcome, AlreadyDone):
            return f"This very job has been done as {outcome.record.job_id}."
        return f"Launched as {outcome.record.job_id}."


def _refused(checked: Refused) -> HubtrainError:
    return BadConfig(f"It cannot go on as it stands. {why_refused(checked.report.findings)}")


def question_before_removal(board: Board, job_id: str) -> str:
    """Return what is asked before a job is deleted. Raises `HubtrainError`."""
    record = board.client.records.get(job_id)
    stops = "" if record.story.state.final else " It still runs, and is stopped first."
    return f"Delete {record.spec.project} ({record.job_id}) with all it left?{stops} Models stay."


def remove(board: Board, job_id: str) -> None:
    """Delete a job, in a thread; the board tells what becomes of it."""

    def removed() -> str:
        record = board.client.records.get(job_id)
        remove_job(board.client, record, force=True)
        return f"Removed {record.spec.project} ({job_id})."

    board.do(f"Removing {job_id}", removed)
