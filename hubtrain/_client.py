"""`Client`: the verbs of this API, carried out by an app that runs, here or elsewhere."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubtrain._app import AppAt
from hubtrain._arguments import typed
from hubtrain._deployment import Deployment
from hubtrain._job import Job
from hubtrain._reach import There

if TYPE_CHECKING:
    from orchestrator.api.answers import Places
    from orchestrator.api.documents import Checked, Kind, SweepPlan
    from orchestrator.api.schema import TaskSettings
    from orchestrator.jobs.ledger import Ledger
    from orchestrator.preflight.offering import Offers
    from orchestrator.rehearsal.documents import Rehearsed
    from orchestrator.sweep.documents import Sweep
    from worker.clock import Clock


class Client:
    """Jobs through a running app (`hubtrain app`).

        client = hubtrain.Client("http://gpu-box:7860", key="…")
        job = client.train("llm-sft", model="Qwen/Qwen3-1.7B", data_path="/data/chats.jsonl")
        job.wait(on_line=print)

    The verbs are those of `hubtrain`, and so are their settings, jobs and errors. Paths are those
    of the machine that the app runs on. `url` is what the app has printed; by default the app of
    this machine. `key` is its key or password: by default the one in `url`, in HUBTRAIN_APP_KEY,
    or, of an app of this machine, the one that it has left for its user. An app on a Space is
    opened by a token of the Hub's, and acts with it.
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
        """Check a job, upload its data and launch it; as `hubtrain.train`."""
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
        from orchestrator.rehearsal.documents import Rehearsed

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
        from orchestrator.preflight.offering import Offers

        return self._app.asked("compare", _asked(task, config, settings), Offers)

    def job(self, name: str) -> Job:
        """Return a job by its id, its project's name, `latest`, or its handle."""
        typed(name, str, "the job", "'k4x7qp'")
        return Job(self._there, self._there.found(name))

    def jobs(self, *, refresh: bool = True, limit: int = 50) -> list[Job]:
        """Return the app's jobs, newest first, `limit` of them at most."""
        found = self._there.all(refresh=refresh, limit=limit)
        return [Job(self._there, one) for one in found]

    def remove(self, name: str, *, force: bool = False, data: bool = False) -> None:
        """Delete what a job left at its provider, and its record. Its model stays."""
        from orchestrator.jobs.removal import RemovedJob

        self._app.asked("remove", {"job": name, "force": force, "data": data}, RemovedJob)

    def cost(self, by: str = "month", *, month: str | None = None) -> Ledger:
        """Return what jobs have cost, summed up by month, project, backend, task, sweep or job."""
        from orchestrator.jobs.ledger import Ledger

        return self._app.asked("cost", {"by": by, "month": month}, Ledger)

    def start_sweep(
        self,
        task: str | None = None,
        *,
        tries: Mapping[str, Any] | None = None,
        how: Mapping[str, Any] | None = None,
        config: str | os.PathLike[str] | None = None,
        **settings: Any,
    ) -> Sweep:
        """Let a sweep go on by itself where the app runs, and return it.

            client.start_sweep("tabular", tries={"model": ["xgboost", "ridge"]}, data_path="/t.csv")

        `tries` has the values of each setting: a list, or `{"low": …, "high": …, "log": True}`;
        `how` the settings of the sweep itself, such as `trials` and `parallel`. `max_cost` bounds
        all trials together. The same call again goes on with it where it stopped.
        """
        from orchestrator.api.answers import StartedSweep

        asked = _asked_sweep(task, config, tries, how, settings)
        return self._app.asked("start_sweep", asked, StartedSweep).sweep

    def check_sweep(
        self,
        task: str | None = None,
        *,
        tries: Mapping[str, Any] | None = None,
        how: Mapping[str, Any] | None = None,
        config: str | os.PathLike[str] | None = None,
        **settings: Any,
    ) -> SweepPlan:
        """Check the trials of a sweep, and sum up what they would take; as `start_sweep`."""
        from orchestrator.api.documents import SweepPlan

        return self._app.asked(
            "check_sweep", _asked_sweep(task, config, tries, how, settings), SweepPlan
        )

    def sweep(self, name: str, *, wait_seconds: float = 0.0) -> Sweep:
        """Return a sweep as it is, or once it has ended, or after so many seconds (50 at most)."""
        from orchestrator.sweep.documents import Sweep

        typed(name, str, "the sweep", "'support-bot'")
        return self._app.asked("sweep", {"sweep": name, "wait_seconds": wait_seconds}, Sweep)

    def sweeps(self) -> list[Sweep]:
        """Return the sweeps that were begun where the app runs."""
        from orchestrator.api.answers import SweepList

        return self._app.asked("sweeps", {}, SweepList).sweeps

    def cancel_sweep(self, name: str) -> Sweep:
        """Stop all trials of a sweep; no further one begins."""
        from orchestrator.sweep.documents import Sweep

        return self._app.asked("cancel_sweep", {"sweep": name}, Sweep)

    def remove_sweep(self, name: str, *, force: bool = False, data: bool = False) -> None:
        """Delete a sweep with its trials; with `force` one that runs, too. Models stay."""
        from orchestrator.api.answers import RemovedSweep

        self._app.asked("remove_sweep", {"sweep": name, "force": force, "data": data}, RemovedSweep)

    def deploy(
        self, model: str, *, max_usd_per_hour: float | None = None, **settings: Any
    ) -> Deployment:
        """Let a trained model of the Hub answer on a page; as `hubtrain.deploy`.

        One that costs more than `max_usd_per_hour` while it is awake is not made.
        """
        from orchestrator.api.answers import Deployed

        typed(model, str, "the model", "'ann/support-bot'")
        asked = {"model": model, "settings": _plain(settings), "max_usd_per_hour": max_usd_per_hour}
        return Deployment(self._there, self._app.asked("deploy", asked, Deployed).deployment)

    def deployments(self) -> list[Deployment]:
        """Return the app's deployments, newest first."""
        from orchestrator.api.answers import DeploymentList

        found = self._app.asked("deployments", {}, DeploymentList)
        return [Deployment(self._there, one) for one in found.deployments]

    def deployment(self, name: str) -> Deployment:
        """Return a deployment by its handle or its name."""
        typed(name, str, "the deployment", "'space://ann/support-bot-chat'")
        return Deployment(self._there, self._there.deployment(name))

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


def _asked_sweep(
    task: str | None,
    config: str | os.PathLike[str] | None,
    tries: Mapping[str, Any] | None,
    how: Mapping[str, Any] | None,
    settings: dict[str, Any],
) -> dict[str, Any]:
    """Return a sweep as it is asked for; the file's own block goes along in its text."""
    asked = _asked(task, config, settings)
    return {**asked, "tries": dict(tries or {}), "how": dict(how or {})}


def _text(config: str) -> str:
    """Return the settings of a file as YAML, its variables filled in from here."""
    import json

    import yaml

    from orchestrator.settings.files import read

    file = read(config)
    values: dict[str, Any] = dict(file.layer().values)
    if file.sweep:
        values["sweep"] = json.loads(json.dumps(file.sweep))  # as plain words
    return yaml.safe_dump({**values, "task": file.task} if file.task else values)


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings as JSON has them: paths whole, as text."""
    return {k: str(v.absolute()) if isinstance(v, Path) else v for k, v in settings.items()}
