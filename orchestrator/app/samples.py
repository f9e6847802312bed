"""What a model said before and after its training, for the page of a job that has ended.

It lies beside the model: on this disk, or on the Hub, which is asked once in a thread.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.jobs.client import Client
from orchestrator.jobs.records import Record
from worker.contract import Pushed
from worker.errors import HubtrainError
from worker.hubfile import fetch
from worker.samples import SAMPLES_FILE, Samples, parsed

LONGEST = 1 << 20
"""Bytes of samples that are read."""


@dataclass
class Said:
    """What the models of jobs said. Used from several threads."""

    client: Client
    _known: dict[str, Samples | None] = field(default_factory=dict)

    def of(self, record: Record) -> Samples | None:
        """Return what a job's model said, as far as it is known by now; none where it is not."""
        story = record.story
        if not story.state.final or not (story.pushed or story.output):
            return None
        if record.job_id not in self._known:
            self._known[record.job_id] = None
            if story.pushed:
                how = (record.job_id, story.pushed)
                threading.Thread(target=self._fetch, args=how, daemon=True).start()
            elif story.output:
                self._read(record.job_id, Path(story.output) / SAMPLES_FILE)
        return self._known[record.job_id]

    def _read(self, job_id: str, file: Path) -> None:
        with suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
            if file.stat().st_size <= LONGEST:
                self._known[job_id] = parsed(file.read_text("utf-8"))

    def _fetch(self, job_id: str, pushed: Pushed) -> None:
        with suppress(HubtrainError, ValueError, LookupError, TypeError, AttributeError):
            how = (pushed.repo_id, SAMPLES_FILE, pushed.commit, self.client.token, LONGEST)
            if found := fetch(*how):
                self._known[job_id] = parsed(found.text)
