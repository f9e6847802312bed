"""What a rehearsal has shown, and what it could not show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestrator.job_request import JobRequest
from orchestrator.jobs.records import Record
from orchestrator.jobs.summary import summary
from orchestrator.localhub import Runner
from orchestrator.preflight import CheckReport
from orchestrator.rehearsal.documents import Report
from orchestrator.rehearsal.mirror import Lent
from orchestrator.words import count, size
from worker.contract import EndReason
from worker.task import Finding


@dataclass(frozen=True)
class Rehearsal:
    """A job that was tried on a Hub of this machine."""

    asked: JobRequest
    checked: CheckReport
    lent: Sequence[Lent]
    record: Record
    files: Sequence[str]
    """Files of the pushed model."""

    overridden: Sequence[str]
    """Settings that were set aside for it."""

    runner: Runner = Runner.PROCESS
    """What its Space was."""

    kept: Report | None = None
    """Its report as it is kept, with the time that each thing took."""

    @property
    def ok(self) -> bool:
        """Whether it came to its good end, and nothing of it goes on costing."""
        return self.record.story.reason is EndReason.OK and not self.record.story.costing

    @property
    def built(self) -> bool:
        """Whether the image was built that the job runs in."""
        return self.runner is Runner.DOCKER and self.asked.backend.builds_image

    def proved(self) -> list[Finding]:
        """Return what it has shown to work."""
        return [Finding("ok", topic, text) for topic, text in _proved(self)]

    def unproved(self) -> list[Finding]:
        """Return what it could not show."""
        return [Finding("warn", topic, text) for topic, text in _unproved(self)]

    def to_json(self, now: datetime) -> dict[str, Any]:
        """Return it for `--json`."""
        kept = self.kept.model_dump(mode="json") if self.kept else {}
        more = ("rehearsal", "took", "memory_bytes", "offers")
        return {
            "ok": self.ok,
            "proved": [{"topic": f.topic, "text": f.text} for f in self.proved()],
            "not_proved": [{"topic": f.topic, "text": f.text} for f in self.unproved()],
            "job": summary(self.record, now),
            **{name: kept[name] for name in more if name in kept},
        }


def _proved(it: Rehearsal) -> Iterator[tuple[str, str]]:
    story = it.record.story
    data = it.checked.known.data
    if story.started_at:
        if it.asked.task.reads_rows:
            yield "data", f"{count(data.rows, 'row')} packed, sent and read on the machine"
        yield "machine", "created, filled and started; the worker answered"
        if it.built:
            yield "image", "built from the Space's files by Docker, and it is what ran"
    if it.ok and (program := it.asked.task.runs_program):
        yield program, "sent, installed and run to its good end"
    if story.progress:
        measured = [m.values["loss"] for m in story.history if "loss" in m.values]
        course = f", loss {measured[0]:.3f} to {measured[-1]:.3f}" if measured else ""
        yield "training", f"{count(story.progress.step, 'step')} done{course}"
    if valid := {name: v for name, v in story.metrics.items() if name.startswith("valid_")}:
        yield "validation", " · ".join(f"{name} {value:.3f}" for name, value in valid.items())
    if story.pushed:
        pushed = f"{count(len(it.files), 'file')}, {size(story.pushed.size_bytes)}"
        yield "push", f"{story.pushed.what} at {story.pushed.repo_id}: {pushed}"
    if story.state.final and story.costing is False:
        yield "end", "its machine stopped by itself and costs nothing any more"


def _unproved(it: Rehearsal) -> Iterator[tuple[str, str]]:
    for lent in it.lent:
        if not lent.real:
            yield lent.kind, f"in place of {lent.name} there was {lent.what}"
    if not it.built:
        yield "image", "none was built: the worker ran with the packages of this machine"
    known = it.checked.known
    machine = it.asked.backend.name + (f"-{known.flavor.name}" if known.flavor.name else "")
    if known.flavor.accelerators:
        yield "memory", f"nothing ran on the GPUs of {machine}: the estimate of the check stands"
    yield "speed", "minutes and money are those of the check, not of this machine"
    if it.overridden:
        yield "settings", f"set aside here: {', '.join(it.overridden)}"
