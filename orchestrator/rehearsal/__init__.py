"""A job tried before it costs: the same settings, packing, machine files and worker, a few steps.

It runs against a Hub of this machine, which has what the job takes from the real one. Nothing is
created on the real Hub, and nothing is rented. Its report is kept (`kept`), from its beginning on.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import backends
from backends.base import OnProgress, silent
from orchestrator import flow
from orchestrator.job_request import JobRequest, scratch
from orchestrator.jobs.client import Client
from orchestrator.jobs.records import Record, Records
from orchestrator.localhub import Runner, RunningHub, running_hub
from orchestrator.preflight import CheckReport
from orchestrator.preflight.offering import Offers
from orchestrator.rehearsal import kept
from orchestrator.rehearsal.documents import Outcome
from orchestrator.rehearsal.mirror import Lending, Lent, owners
from orchestrator.rehearsal.progress import Telling
from orchestrator.rehearsal.report import Rehearsal
from orchestrator.settings.layers import Settings
from orchestrator.subprocess_call import command_of
from worker import secret_variables
from worker.contract import ModelRef
from worker.errors import BadConfig, HubtrainError
from worker.home import RECORDS_FILE
from worker.hubclient import explained, hub
from worker.prctl import tied_to_parent
from worker.tasks import typed

__all__ = ["Rehearsal", "Runner", "can_be_rehearsed", "refuse_free", "rehearse"]

STEPS = 3
LOOK_SECONDS = 0.5

SCRATCH = "rehearsal-"
"""What the names of folders begin with in which rehearsals have what they remove at their end."""


def can_be_rehearsed(asked: JobRequest) -> bool:
    """Whether a job rents something: others are their own rehearsal."""
    return asked.backend.on_hub and not asked.backend.sees_my_files


def refuse_free(asked: JobRequest) -> None:
    """Raise `BadConfig` for a job that costs nothing and trains here: that is its own rehearsal."""
    if not can_be_rehearsed(asked):
        what = f"a job with --backend {asked.job.backend} rents nothing"
        raise BadConfig(
            f"{what}: there is nothing to rehearse.",
            fix="Launch it with a few steps, as with --max-steps 3.",
        )


def rehearse(
    client: Client,
    asked: JobRequest,
    report: CheckReport,
    settings: Settings,
    *,
    steps: int = STEPS,
    runner: Runner = Runner.PROCESS,
    on_progress: OnProgress = silent,
    on_news: Callable[[Record], None] = lambda record: None,
    name: str | None = None,
) -> Rehearsal:
    """Try a checked job with `steps` steps, and return what came of it.

    `on_news` is told of every change of the job; `name` is that of the report that is kept, a new
    one by default. Raises `HubtrainError` where what it takes is not installed here or cannot be
    fetched, where the job is refused, and where its user stops it.
    """
    backends.load("local")().require(asked.task.extras)  # of trackers nothing is needed here
    clock, name = client.clock, name or client.clock.new_id()
    how: dict[str, Any] = {"steps": steps, "runner": str(runner), "clock": clock}
    with Telling.of(name, asked, report, **how) as telling:
        with _folder(name) as folder:
            trial = _Trial(client, asked, report, settings, steps, folder, telling)
            telling.does("starting a Hub")
            telling.compares(lambda: Offers.of(flow.compare(client, asked)))
            with running_hub(folder, trial.accounts(), runner=runner) as there:
                on_progress("fetching model and data", None)
                lent = trial.lend(there)
                on_progress("starting", None)
                record = trial.run(there, on_news)
                telling.does("looking at what was pushed")
                files = trial.files(there, record)
                telling.does("removing all of it")
        done = Rehearsal(asked, report, lent, record, files, trial.set_aside, runner)
        return _told(done, telling)


@contextmanager
def _folder(name: str) -> Iterator[Path]:
    """Make the folder of a rehearsal, which is gone afterwards, and remove those of lost ones."""
    alive = {one for one in kept.names() if kept.runs(one)}
    for old in scratch().glob(f"{SCRATCH}*"):
        if old.name.removeprefix(SCRATCH) not in alive:
            shutil.rmtree(old, ignore_errors=True)
    folder = scratch() / f"{SCRATCH}{name}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _told(done: Rehearsal, telling: Telling) -> Rehearsal:
    """Keep how a rehearsal has ended, and return it with its report."""
    story = done.record.story
    telling.shows(done.proved(), done.unproved())
    if done.ok:
        telling.end(Outcome.SUCCEEDED)
    else:
        costs = "its machine costs after its end." if story.costing else ""
        error = story.message or costs or f"It ended as {story.state} ({story.reason})."
        telling.end(Outcome.FAILED, error=error, detail=story.detail)
    return replace(done, kept=telling.report)


@dataclass(frozen=True)
class _Trial:
    """One rehearsal."""

    client: Client
    asked: JobRequest
    report: CheckReport
    settings: Settings
    steps: int
    folder: Path
    telling: Telling

    @property
    def owner(self) -> str:
        return self.report.owner or "you"

    def accounts(self) -> list[str]:
        """Return the accounts whose repos it needs, the user's first."""
        names = [f"{self.owner}/", *(ref.name for ref in self._models())]
        data = self.report.source.remote
        names += [str(data.repo_id)] if data else []
        names += [push.repo_id] if (push := self.report.push) else []
        return list(owners(names))

    def lend(self, there: RunningHub) -> list[Lent]:
        """Put on the local Hub what the job takes from the real one."""
        trusts = bool(getattr(self.asked.params, "trust_remote_code", False))
        source, task = hub(self.client.token), self.asked.task.name
        lending = Lending(source, there, task, trusts, goes_on=self.telling.goes_on)
        lent = []
        for ref in self._models():
            self.telling.does("fetching the model")
            lent.append(lending.model(ref))
        if (data := self.report.source.remote) is not None:
            self.telling.does("fetching the data")
            lent.append(lending.data(data, self.report.source.stored_bytes))
        return lent

    def run(self, there: RunningHub, on_news: Callable[[Record], None]) -> Record:
        """Run the job to its end, and return it. Raises `HubtrainError` where it is refused."""
        self.telling.does("checking and sending")
        config = self.folder / "job.json"
        config.write_text(json.dumps(self._settings()), encoding="utf-8")
        words = ["--train", "--config", str(config), "--json"]
        train = command_of("orchestrator.terminal.cli", typed(self.asked.task.name), *words)
        with (
            (self.folder / "told.json").open("w+", encoding="utf-8") as told,
            (self.folder / "trouble.txt").open("w", encoding="utf-8") as trouble,
            subprocess.Popen(
                [*tied_to_parent(), *train],
                stdout=told,
                stderr=trouble,
                env={**there.environ(self.owner), **self._carried()},
                start_new_session=True,  # Ctrl-C would leave the job as it is
            ) as process,
        ):
            try:
                self._watch(process, there, on_news)
            finally:
                process.kill()
            told.seek(0)
            if record := self._record():
                return record
            raise _refusal(told.read(), process.returncode)

    def files(self, there: RunningHub, record: Record) -> list[str]:
        """Return the names of the files that were pushed."""
        if (pushed := record.story.pushed) is None:
            return []
        from huggingface_hub import HfApi

        api = HfApi(endpoint=there.endpoint, token=there.tokens[self.owner])
        with explained("looking at the pushed model"):
            return list(api.list_repo_files(pushed.repo_id))

    def _watch(
        self,
        process: subprocess.Popen[bytes],
        there: RunningHub,
        on_news: Callable[[Record], None],
    ) -> None:
        seen = 0
        while process.poll() is None:
            if (record := self._record()) and len(record.events) > seen:
                seen = len(record.events)
                self.telling.hears(record)
                on_news(record)
            self.telling.holds(_held_below(there.pid))
            self.telling.goes_on()
            self.client.clock.sleep(LOOK_SECONDS)
        if record := self._record():
            self.telling.hears(record)

    def _record(self) -> Record | None:
        home = self.folder / "home"
        return next(iter(Records(home).all()), None) if (home / RECORDS_FILE).exists() else None

    def _models(self) -> list[ModelRef]:
        """Return the models of the Hub that the job starts from or is judged by."""
        models = [self.report.model] if self.report.model and self.report.model.on_hub else []
        for named in self.report.known.pinned.values():
            several = [named] if isinstance(named, str) else named
            models += [ref for ref in map(ModelRef.named, several) if ref.on_hub]
        return list({ref.name: ref for ref in models}.values())

    def _settings(self) -> dict[str, Any]:
        """Return the job's settings, made short, with names where commits of the Hub stood."""
        return {**self.settings.values, **self._elsewhere(), **self._short()}

    def _carried(self) -> dict[str, str]:
        """Return the secrets for the job's own program."""
        return {k: v for k, v in self.asked.secrets.items() if k == secret_variables.VARIABLE}

    def _elsewhere(self) -> dict[str, Any]:
        known = self.report.known
        names: dict[str, Any] = {
            setting: _bare(named) if isinstance(named, str) else [_bare(n) for n in named]
            for setting, named in known.pinned.items()
        }
        if known.model and known.model.on_hub and "model" in type(self.asked.params).model_fields:
            names["model"] = known.model.name
        if known.source.remote:
            names["data_path"] = known.source.remote.repo_id
        return {**names, "username": self.owner}

    def _short(self) -> Mapping[str, Any]:
        return self.asked.task.shortened(self.asked.params, self.steps)

    @property
    def set_aside(self) -> list[str]:
        """Settings that were said otherwise, by name."""
        return [
            name
            for name, value in self._short().items()
            if name in self.settings.values and getattr(self.asked.params, name) != value
        ]


def _held_below(pid: int) -> int:
    """Return the main memory that the processes below this one hold, in bytes."""
    import psutil

    held = 0
    with suppress(psutil.Error):
        for process in psutil.Process(pid).children(recursive=True):
            with suppress(psutil.Error):  # it has just ended
                held += process.memory_info().rss
    return held


def _bare(named: str) -> str:
    """Return a model's name without its revision, which the local Hub does not have."""
    return ModelRef.named(named).name


def _refusal(told: str, code: int | None) -> HubtrainError:
    """Return why a job was refused that its real check had let pass."""
    try:
        said = json.loads(told)
    except ValueError:
        return HubtrainError(f"the rehearsal ended with code {code} before there was a job.")
    if "error" in said:
        return BadConfig(str(said["error"]), fix=str(said.get("fix", "")))
    wrong = [f for f in said.get("report", {}).get("findings", []) if f["level"] == "error"]
    return BadConfig("\n".join(f["text"] for f in wrong) or "the rehearsal was refused.")
