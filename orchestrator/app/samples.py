"""What a model said before and after its training, for the page of a job that has ended.

It lies beside the model: on this disk, or on the Hub, which is asked in a thread until it answers.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.jobs.client import Client
from orchestrator.jobs.records import Record
from worker.contract import Pushed
from worker.errors import HubtrainError
from worker.hubfile import fetch
from worker.samples import SAMPLES_FILE, Samples, parsed

LONGEST = 1 << 20
"""Bytes of samples that are read."""


MOST = 50
"""Jobs whose samples are kept."""

AGAIN_SECONDS = 60.0
"""After how long samples are asked for again that could not be fetched."""


@dataclass
class Said:
    """What the models of jobs said. Used from several threads."""

    client: Client
    _known: dict[str, Samples | None] = field(default_factory=dict)
    _asked: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, record: Record) -> Samples | None:
        """Return what a job's model said, as far as it is known by now; none where it is not."""
        story, job_id = record.story, record.job_id
        if not story.state.final or not (story.pushed or story.output):
            return None
        if self._is_to_ask(job_id):
            if story.pushed:
                how = (job_id, story.pushed)
                threading.Thread(target=self._fetch, args=how, daemon=True).start()
            elif story.output:
                self._keep(job_id, _read(Path(story.output) / SAMPLES_FILE))
        return self._known.get(job_id)

    def _is_to_ask(self, job_id: str) -> bool:
        """Whether samples are not known, and were not asked for just now."""
        now = self.client.clock.monotonic()
        with self._lock:
            last = self._asked.get(job_id)
            if job_id in self._known or (last is not None and now - last < AGAIN_SECONDS):
                return False
            _note(self._asked, job_id, now)
        return True

    def _fetch(self, job_id: str, pushed: Pushed) -> None:
        with suppress(HubtrainError):  # it is asked again
            found = fetch(pushed.repo_id, SAMPLES_FILE, pushed.commit, self.client.token, LONGEST)
            self._keep(job_id, _parsed(found.text) if found else None)

    def _keep(self, job_id: str, found: Samples | None) -> None:
        with self._lock:
            _note(self._known, job_id, found)
            self._asked.pop(job_id, None)


def _note(kept: dict[str, Any], job_id: str, what: object) -> None:
    """Keep something of a job, and of the jobs before it no more than `MOST`."""
    kept[job_id] = what
    for old in list(kept)[:-MOST]:
        del kept[old]


def _read(file: Path) -> Samples | None:
    with suppress(OSError, UnicodeDecodeError):
        if file.stat().st_size <= LONGEST:
            return _parsed(file.read_text("utf-8"))
    return None


def _parsed(text: str) -> Samples | None:
    """Return samples; none where a job has written something else."""
    with suppress(ValueError, LookupError, TypeError, AttributeError):
        return parsed(text)
    return None
