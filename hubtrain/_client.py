"""`Client`: the verbs of this API, carried out by an app that runs, here or elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubtrain._app import AppAt
from hubtrain._arguments import typed
from hubtrain._job import Job
from hubtrain._reach import There

if TYPE_CHECKING:
    from orchestrator.api.answers import Places
    from orchestrator.api.documents import Checked, Kind, Offers, Rehearsed
    from orchestrator.api.schema import TaskSettings
    from orchestrator.jobs.ledger import Ledger
    from worker.clock import Clock


class Client:
    """Jobs through a running app (`hubtrain app`).

        client = hubtrain.Client("http://gpu-box:7860", key="…")
        job = client.train("llm-sft", model="Qwen/Qwen3-1.7B", data_path="/data/chats.jsonl")
        job.wait(on_line=print)

    The verbs are those of `hubtrain`, and so are their settings, jobs and errors. Paths are those
    of the machine that the app runs on. `url` is what the app has printed; by default the app of
    this machine. `key` is its key or password: by default the one in `url`, in HUBTRAIN_APP_KEY,
    or the one that this machine's app has left for its user.
    """

    def __init__(
        self, url: str | None = None, key: str | None = None, *, clock: Clock | None = None
    ) -> None:
        typed(url, str, "url", "'http://127.0.0.1:7860'")
        typed(key, str, "key", "that of the address that `hubtrain app` prints")
        self._app = AppAt(url, key, clock)
        self._there = There(self._app)

    def __repr__(self) -> str:
        return f"<hubtrain.Client {self._app.url}>"

    def train(
        self,
        task: str | None = None,
        *,
        config: str | os.PathLike[str] | None = None,
        **settings: Any,
    ) -> Job:
        """Check a job, send its data and launch it; as `hubtrain.train`."""
        from orchestrator.api.answers import Launch

        done = self._app.asked("train", _asked(task, config, settings), Launch)
        return self.job(done.job.job)

    def resume(self, name: str, **changes: Any) -> Job:
        """Go on with a job from its last checkpoint; as `hubtrain.resume`."""
        from orchestrator.api.answers import Launch

        done = self._app.asked("resume", {"job": name, "settings": _plain(changes)}, Launch)
        return self.job(done.job.job)

    def check(
        self,
        task: str | None = None,
        *,
        config: str | os.PathLike[str] | None = None,
        **settings: Any,
    ) -> Checked:
        """Check a job, free and in seconds; as `hubtrain.check`."""
        from orchestrator.api.documents import Checked

        return self._app.asked("check", _asked(task, config, settings), Checked)

    def rehearse(
        self,
        task: str | None = None,
        *,
        config: str | os.PathLike[str] | None = None,
        steps: int = 3,
        **settings: Any,
    ) -> Rehearsed:
        """Try a job for a few steps where the app runs; as `hubtrain.rehearse`."""
        from orchestrator.api.documents import Rehearsed

        asked = {**_asked(task, config, settings), "steps": steps}
        return self._app.asked("rehearse", asked, Rehearsed)

    def compare(
        self,
        task: str | None = None,
        *,
        config: str | os.PathLike[str] | None = None,
        **settings: Any,
    ) -> Offers:
        """Return what a job would take and cost on every machine, cheapest first."""
        from orchestrator.api.documents import Offers

        return self._app.asked("compare", _asked(task, config, settings), Offers)

    def job(self, name: str) -> Job:
        """Return a job by its id, its project's name, `latest`, or its handle."""
        typed(name, str, "the job", "'k4x7qp'")
        return Job(self._there, self._there.found(name))

    def jobs(self, *, refresh: bool = True, limit: int = 50) -> list[Job]:
        """Return the app's jobs, newest first, `limit` of them at most."""
        from orchestrator.api.answers import JobList

        found = self._app.asked("jobs", {"refresh": refresh, "limit": limit}, JobList)
        return [self.job(one.job) for one in found.jobs]

    def remove(self, name: str, *, force: bool = False, data: bool = False) -> None:
        """Delete what a job left at its provider, and its record. Its model stays."""
        from orchestrator.jobs.removal import RemovedJob

        self._app.asked("remove", {"job": name, "force": force, "data": data}, RemovedJob)

    def cost(self, by: str = "month", *, month: str | None = None) -> Ledger:
        """Return what jobs have cost, summed up by month, project, backend, task, sweep or job."""
        from orchestrator.jobs.ledger import Ledger

        return self._app.asked("cost", {"by": by, "month": month}, Ledger)

    def tasks(self) -> list[Kind]:
        """Return what can be trained, each with a line of its data."""
        from orchestrator.api.answers import Tasks

        return self._app.asked("tasks", {}, Tasks).tasks

    def settings(self, task: str) -> TaskSettings:
        """Return the settings of a task as JSON schema."""
        from orchestrator.api.schema import TaskSettings

        return self._app.asked("settings", {"task": task}, TaskSettings)

    def backends(self) -> Places:
        """Return where jobs can run, with today's prices."""
        from orchestrator.api.answers import Places

        return self._app.asked("backends", {}, Places)


def _asked(
    task: str | None, config: str | os.PathLike[str] | None, settings: dict[str, Any]
) -> dict[str, Any]:
    """Return a job as it is asked for: a file of this machine goes along as its text."""
    typed(task, str, "the task", "'llm-sft'")
    typed(config, (str, os.PathLike), "config", "'job.yml'")
    text = None if config is None else _text(os.fspath(config))
    return {"task": task, "settings": _plain(settings), "yaml": text}


def _text(config: str) -> str:
    """Return the settings of a file as YAML, its variables filled in from here."""
    import yaml

    from orchestrator.settings.files import read

    file = read(config)
    values = dict(file.layer().values)
    return yaml.safe_dump({**values, "task": file.task} if file.task else values)


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings as JSON has them: paths whole, as text."""
    return {k: str(v.absolute()) if isinstance(v, Path) else v for k, v in settings.items()}
