"""Train models on rented machines, from Python.

    import hubtrain

    job = hubtrain.train(
        "llm-sft",
        model="Qwen/Qwen3-1.7B",
        data_path="chats.jsonl",
        peft=True,
        project_name="support-bot",
        backend="spaces-a10g",
        push_to_hub=True,
    )
    job.wait()
    print(job.state, job.metrics, job.model)

Settings are keyword arguments with the names of the YAML keys. Nothing is printed. A job goes on
when this process ends; `hubtrain.job(id)` finds it from any other. What goes wrong is a
`HubtrainError`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.jobs.client import Client
from orchestrator.jobs.records import Record
from worker.contract import EndReason, State
from worker.errors import (
    BadConfig,
    BadData,
    GatedModel,
    HubError,
    HubtrainError,
    HubUnreachable,
    NotThere,
    NoWrite,
)

if TYPE_CHECKING:
    from orchestrator.flow import Asked
    from orchestrator.preflight.report import Report

__all__ = [
    "BadConfig",
    "BadData",
    "CheckFailed",
    "EndReason",
    "GatedModel",
    "HubError",
    "HubUnreachable",
    "HubtrainError",
    "Job",
    "JobFailed",
    "NoWrite",
    "NotThere",
    "State",
    "WaitTimeout",
    "check",
    "job",
    "jobs",
    "train",
]

OnProgress = Callable[[str, float | None], None]


class CheckFailed(BadConfig):
    """The check before a job found something to mend; nothing was created."""

    def __init__(self, report: Report) -> None:
        wrong = [f for f in report.findings if f.level == "error"]
        lines = (f"{f.topic}: {f.text} {f.fix}".rstrip() for f in wrong)
        super().__init__("\n".join(lines))
        self.report = report
        """All that the check found."""


class JobFailed(HubtrainError):
    """A job has ended, and not well. `reason` is its `EndReason`."""

    def __init__(self, job: Job) -> None:
        said = f"{job.id} {job.state} ({job.reason}): {job.message}".rstrip(": ")
        super().__init__(said, fix=f"hubtrain logs {job.id}", reason=job.reason)
        self.job = job
        """The job as it ended."""


class WaitTimeout(HubtrainError, TimeoutError):
    """A job has not ended within the time that `wait` was given. It goes on."""


class Job:
    """One job, as it was last known. `refresh` and `wait` ask how it is now.

    Made by `train`, `job` and `jobs`.
    """

    def __init__(self, client: Client, record: Record) -> None:
        self._client, self._record = client, record

    def __repr__(self) -> str:
        return f"<hubtrain.Job {self.id} {self.project!r} {self.state}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def id(self) -> str:
        """Six characters that name the job, on this machine and in `hubtrain jobs`."""
        return self._record.job_id

    @property
    def handle(self) -> str | None:
        """Name that finds the job from any machine; none before it was launched."""
        return self._record.story.handle

    @property
    def project(self) -> str:
        """The project's name: that of the model."""
        return self._record.spec.project

    @property
    def task(self) -> str:
        """The task's name."""
        return self._record.spec.task

    @property
    def state(self) -> State:
        """`created`, `queued`, `running`, `succeeded`, `failed`, `cancelled` or `lost`."""
        return self._record.story.state

    @property
    def ended(self) -> bool:
        """Whether the job has ended, well or not."""
        return self.state.final

    @property
    def reason(self) -> EndReason | None:
        """Why the job ended; none while it has not."""
        return self._record.story.reason

    @property
    def message(self) -> str:
        """What went wrong, in a sentence; empty if nothing did."""
        return self._record.story.message

    @property
    def progress(self) -> float:
        """Share of the training steps that are done, from 0 to 1."""
        steps = self._record.story.progress
        return steps.step / max(1, steps.total_steps) if steps else 0.0

    @property
    def metrics(self) -> dict[str, float]:
        """The last value of each measurement, such as `loss` and `valid_loss`."""
        return dict(self._record.story.metrics)

    @property
    def history(self) -> list[dict[str, float]]:
        """All measurements in order, each with its `step`: what a curve is drawn from."""
        return [{"step": m.step, **m.values} for m in self._record.story.history]

    @property
    def model(self) -> str | None:
        """Repo on the Hub, or folder of this machine, that holds the model; none before."""
        story = self._record.story
        return story.pushed.repo_id if story.pushed else story.output

    @property
    def url(self) -> str | None:
        """Address of the job's page; none while there is none. It may hold a key: keep it."""
        return self._client.page(self._record)

    @property
    def cost(self) -> float:
        """US dollars spent on its machine so far, by the provider's price."""
        record = self._record
        now = record.known_at(self._client.clock.now())
        return record.story.cost(record.spec.machine.usd_per_hour, now)

    @property
    def unanswered(self) -> str:
        """Why its provider could not be asked the last time; empty if it answered."""
        return self._record.unanswered

    def to_dict(self) -> dict[str, Any]:
        """Return all that is known of it: the document of `hubtrain status --json`."""
        from orchestrator.jobs.summary import summary

        return summary(self._record, self._client.clock.now())

    def refresh(self) -> Job:
        """Ask once how the job is now, and return it.

        If its provider does not answer the job is as it was last known, and `unanswered` says why.
        """
        self._record = self._client.refreshed(self._client.records.get(self.id))
        return self

    def wait(
        self,
        timeout: float | None = None,
        *,
        on_update: Callable[[Job], None] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Job:
        """Wait until the job has ended and its machine costs nothing; returns the job.

        Whether it ended well is in `state`; `result` raises if it did not. `on_update` is called
        with the job whenever something is new, `on_line` with every line of its output. Ctrl-C
        leaves the job running. Raises `WaitTimeout` after `timeout` seconds.
        """
        from orchestrator import flow

        def news(record: Record) -> None:
            self._record = record
            if on_update is not None:
                on_update(self)

        record = self._client.records.get(self.id)
        if not record.settled:
            record = flow.watch(
                self._client, record, on_news=news, on_line=on_line, timeout=timeout
            )
        self._record = record
        if not self.ended:
            raise WaitTimeout(f"{self.id} has not ended within {timeout:g} s; it goes on.")
        return self

    def result(self, timeout: float | None = None) -> str:
        """Wait for the job and return where its model is; raises `JobFailed` if there is none."""
        self.wait(timeout)
        if self.state is not State.SUCCEEDED:
            raise JobFailed(self)
        return self.model or ""

    def logs(self, *, follow: bool = False) -> Iterator[str]:
        """Yield the lines the job has printed; with `follow`, until it has ended."""
        from orchestrator.jobs.lines import lines
        from worker.contract import from_marked

        record = self._client.records.get(self.id)
        return (
            text for text in lines(self._client, record, follow=follow) if not from_marked(text)
        )

    def cancel(self) -> Job:
        """Stop the job and its machine, wait until that costs nothing, and return the job.

        A job that has ended keeps its end. Raises `HubtrainError` if it is not known to have
        stopped.
        """
        watch = self._client.watch(self._client.records.get(self.id))
        self._record = watch.cancel()
        if watch.problem is not None:
            raise watch.problem
        return self


def train(
    task: str | None = None,
    *,
    config: str | os.PathLike[str] | None = None,
    token: str | None = None,
    on_progress: OnProgress | None = None,
    **settings: Any,
) -> Job:
    """Check a job, send its data and launch it; returns as soon as it is launched.

    The same call again is the same job: it is found running, or, once it has succeeded, returned
    as it ended; `overwrite=True` trains again.

    Args:
        task: The kind of training, as in `llm` or `llm-sft`; none is that of `config`.
        config: A YAML file of settings, or its address. Settings given here win over it.
        token: The Hub token; none is `HF_TOKEN`, or that of `hf auth login`.
        on_progress: Called with what goes on now, and the share done (0 to 1, or none).
        settings: Any setting of the task, the job and the backend, by its name in a file.

    Raises:
        CheckFailed: The check found something to mend; nothing was created.
        BadConfig: A setting is unknown or has no usable value.
        HubtrainError: Something failed on the way; the same call goes on where it stopped.
    """
    from backends.base import silent
    from orchestrator import flow

    client, asked = _asked(task, config, token, settings)
    checked = flow.check(client, asked)
    if isinstance(checked, flow.Refused):
        raise CheckFailed(checked.report)
    outcome = flow.submit(client, checked, on_progress or silent)
    if isinstance(outcome, flow.Refused):
        raise CheckFailed(outcome.report)
    return Job(client, outcome.record)


def check(
    task: str | None = None,
    *,
    config: str | os.PathLike[str] | None = None,
    token: str | None = None,
    **settings: Any,
) -> Report:
    """Check a job as `train` does, free and in seconds, and return all that was found.

    `report.ok` says whether it may run, `report.findings` what was found (each with `level`,
    `topic`, `text` and `fix`), `report.estimate` what it would take. Arguments are those of
    `train`. Raises `BadConfig` if a setting is unknown or has no usable value.
    """
    from orchestrator import flow

    client, asked = _asked(task, config, token, settings)
    report = flow.check(client, asked).report
    return report.refused() if report.held else report


def job(name: str, *, token: str | None = None, refresh: bool = True) -> Job:
    """Return a job by its id, the start of it, its project's name, `latest`, or its handle.

    A handle also finds a job that another machine launched. Its provider is asked how it is,
    unless `refresh` is off. Raises `BadConfig` if there is no such job.
    """
    client = Client(given_token=token)
    found = Job(client, client.record(name))
    return found.refresh() if refresh else found


def jobs(*, token: str | None = None, refresh: bool = True) -> list[Job]:
    """Return all jobs this machine knows, newest first.

    Their providers are asked how they are, unless `refresh` is off.
    """
    from concurrent.futures import ThreadPoolExecutor

    client = Client(given_token=token)
    records = client.records.all()
    if refresh and records:
        with ThreadPoolExecutor(8) as pool:
            records = list(pool.map(client.refreshed, records))
    return [Job(client, record) for record in records]


def _asked(
    task: str | None,
    config: str | os.PathLike[str] | None,
    token: str | None,
    settings: dict[str, Any],
) -> tuple[Client, Asked]:
    from orchestrator import flow
    from orchestrator.settings.configfile import read
    from orchestrator.settings.gather import gather, task_of
    from orchestrator.settings.layers import ARGUMENTS

    file = read(os.fspath(config)) if config is not None else None
    if task is None and file is None:
        raise BadConfig("say which task: train('llm', …), or config='job.yml'")
    named, extra = task_of(task, "the task") if task else task_of(file.task if file else None)
    token = token or os.environ.get("HF_TOKEN") or (file.token() if file else None)
    client = Client(given_token=token)
    given = {k: str(v) if isinstance(v, Path) else v for k, v in settings.items()}
    gathered = gather(named, file, {**extra, **given}, client.accounts, source=ARGUMENTS)
    return client, flow.ask(client, named, gathered)


def __getattr__(name: str) -> Any:
    """Import `Report` on use: it costs more than all the rest."""
    if name == "Report":
        from orchestrator.preflight.report import Report

        return Report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
