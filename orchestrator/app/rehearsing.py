"""Rehearsals that the app starts: the command in a process of its own, one at a time.

Its report is kept by that process, so it is shown whoever started it, and goes on while no page is
open. It ends with the app.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from dataclasses import dataclass, field
from typing import IO

from orchestrator.form import spelling
from orchestrator.form.draft import Draft
from orchestrator.jobs.client import Client
from orchestrator.rehearsal import kept
from orchestrator.rehearsal.documents import Outcome, Report
from orchestrator.settings.job import JobSettings
from orchestrator.subprocess_call import command_of
from worker.errors import BadConfig, HubtrainError

JOB = "job.yml"
"""The job that was written, beside the report of its rehearsal."""

END_SECONDS = 15.0
"""What a rehearsal gets to end by itself when the app does: it has a Hub to stop."""


@dataclass
class Rehearsing:
    """The rehearsal that this app has started. Used from several threads."""

    client: Client
    _name: str = ""
    _process: subprocess.Popen[bytes] | None = None
    _waiting: threading.Thread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, said: Draft) -> str:
        """Rehearse what a draft says; returns the name of its report. Raises `HubtrainError`."""
        with self._lock:
            if (other := self.running()) is not None:
                raise BadConfig(
                    f"{other.project} is being rehearsed, and this machine does one at a time."
                )
            name = self.client.clock.new_id()
            kept.make_room()
            kept.write(self._begun(name, said))
            job = kept.folder_of(name) / JOB
            job.write_text(spelling.as_yaml(said), encoding="utf-8")
            words = ("rehearse", "--name", name, "--config", str(job), "--json")
            told, process = self._started(words)
            self._name, self._process = name, process
            self._waiting = threading.Thread(
                target=self._wait, args=(name, process, told), daemon=True, name="app-rehearses"
            )
            self._waiting.start()
            return name

    def running(self) -> Report | None:
        """Return the rehearsal that runs on this machine, whoever started it; none where none."""
        mine = self.report(self._name) if self._name else None
        return mine if mine and mine.outcome is Outcome.RUNNING else kept.running()

    def report(self, name: str) -> Report | None:
        """Return a report as it is now; none where none is kept under this name."""
        try:
            found = kept.get(name)
        except BadConfig:
            return None
        process = self._process
        if name == self._name and process is not None and process.poll() is None:
            found = found if found.outcome is not Outcome.LOST else _as_running(found)
        return found

    def reports(self) -> list[Report]:
        """Return all reports, the newest first."""
        return [self.report(one.rehearsal) or one for one in kept.reports()]

    def stop(self, name: str) -> None:
        """Ask a rehearsal to stop, whoever started it."""
        kept.halt(name)

    def close(self) -> None:
        """Stop what this app has started, and wait a little until it has."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        kept.halt(self._name)
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:  # it stops where it looks next
            return

    def _begun(self, name: str, said: Draft) -> Report:
        where = str(said.values.get("backend", JobSettings.model_fields["backend"].default))
        return Report(
            rehearsal=name,
            project=str(said.values.get("project_name", "")),
            task=said.task.name,
            backend=where,
            doing="checking",
            began_at=self.client.clock.now(),
        )

    def _started(self, words: tuple[str, ...]) -> tuple[IO[bytes], subprocess.Popen[bytes]]:
        environ = dict(os.environ)
        if self.client.token:
            environ["HF_TOKEN"] = self.client.token
        process = subprocess.Popen(
            command_of("orchestrator.terminal.cli", *words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environ,
            start_new_session=True,  # Ctrl-C ends the app, which then stops it
        )
        assert process.stdout is not None
        return process.stdout, process

    def _wait(self, name: str, process: subprocess.Popen[bytes], told: IO[bytes]) -> None:
        """Read what the command answers; where it ended before it could keep a report, keep one."""
        with told:
            answer = told.read()
        process.wait()
        try:
            report = kept.get(name)
            if report.outcome is not Outcome.LOST or report.steps:
                return
            error, fix = _why(answer, process.returncode)
            ended = {"outcome": Outcome.REFUSED, "ended_at": self.client.clock.now()}
            kept.write(report.model_copy(update={**ended, "error": error, "fix": fix}))
        except HubtrainError:  # its folder was removed meanwhile
            return


def _as_running(report: Report) -> Report:
    return report.model_copy(update={"outcome": Outcome.RUNNING, "doing": "checking", "error": ""})


def _why(answer: bytes, code: int) -> tuple[str, str]:
    """Return why a command did not begin, and what mends it, as its document says."""
    try:
        said = json.loads(answer)
        return str(said["error"]), str(said.get("fix") or "")
    except (ValueError, KeyError, TypeError):
        return f"It ended with code {code} before it began.", ""
