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
    job.watch()
    print(job.state, job.metrics, job.model)
    print(job.ask("Where is my parcel?"))
    page = hubtrain.deploy(job.model).wait()
    print(page.url)

Settings are keyword arguments with the names of the YAML keys. Only `Job.watch` prints. A job
continues when this process ends; `hubtrain.job(id)` finds it from any other process. Every error
is a `HubtrainError`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubtrain._arguments import in_arguments, typed
from hubtrain._client import Client
from hubtrain._deployment import Deployment
from hubtrain._errors import CheckFailed, WaitTimeout
from hubtrain._job import Job, JobFailed
from hubtrain._reach import Here
from orchestrator.api.arguments import as_arguments
from orchestrator.jobs.client import Client as Jobs
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
    from backends.base import OnProgress
    from orchestrator.job_request import JobRequest
    from orchestrator.preflight.report import CheckReport
    from orchestrator.rehearsal import Rehearsal
    from orchestrator.settings.layers import Settings
    from worker.task import Task

__all__ = [
    "BadConfig",
    "BadData",
    "CheckFailed",
    "Client",
    "Deployment",
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
    "deploy",
    "export",
    "init",
    "job",
    "jobs",
    "rehearse",
    "rerun",
    "resume",
    "train",
]


def train(
    task: str | None = None,
    *,
    config: str | os.PathLike[str] | None = None,
    token: str | None = None,
    on_progress: OnProgress | None = None,
    **settings: Any,
) -> Job:
    """Check a job, upload its data and launch it. Returns once it is launched.

    A repeated call returns the same job, running or succeeded; `overwrite=True` trains again.

    Args:
        task: The task, such as `llm` or `llm-sft`; by default that of `config`.
        config: A YAML file of settings, or its address. Arguments override it.
        token: The Hub token; by default `HF_TOKEN`, or that of `hf auth login`.
        on_progress: Called with the current step and the share done (0 to 1, or none).
        settings: Any setting of the task, the job and the backend, by its name in a file.

    Raises:
        CheckFailed: The check found errors; nothing was created.
        BadConfig: A setting is unknown or has an invalid value.
        HubtrainError: A step failed; the same call continues where it stopped.
    """
    with in_arguments():
        client, asked = _asked(task, config, token, settings)
        return _launched(client, asked, on_progress)


def resume(
    name: str,
    *,
    token: str | None = None,
    on_progress: OnProgress | None = None,
    **changes: Any,
) -> Job:
    """Resume a job that ended without its model, from its last checkpoint; return the new job.

    A repeated call returns the same new job.

    Args:
        name: The job as in `job`, or `OWNER/NAME` of its model repo.
        token: The Hub token; by default `HF_TOKEN`, or that of `hf auth login`.
        on_progress: As in `train`.
        changes: Settings to change, such as `backend` and `epochs`.

    Raises:
        CheckFailed: The check found errors; nothing was created.
        BadConfig: The job cannot be resumed, or not with these changes.
        HubtrainError: A step failed; the same call continues where it stopped.
    """
    from orchestrator import flow
    from orchestrator.jobs.resumed import job_to_resume, successor
    from orchestrator.settings.layers import ARGUMENTS

    typed(name, str, "the job", "'k4x7qp'")
    with in_arguments():
        client = _client(token)
        record = job_to_resume(client, name)
        if done := successor(client, record):
            return Job(client, done)
        return _launched(client, flow.resume(client, record, changes, ARGUMENTS), on_progress)


def rerun(
    model: str | os.PathLike[str],
    *,
    token: str | None = None,
    on_progress: OnProgress | None = None,
    **changes: Any,
) -> Job:
    """Repeat the training of a model. Returns the new job once it is launched.

    The new model goes to `PROJECT-rerun`. If no job of this machine trained the model, settings
    that cost money or run code have to be given. A repeated call returns the same new job.

    Args:
        model: `OWNER/NAME` on the Hub, `OWNER/NAME@REVISION`, a folder, or a job that succeeded.
        token: The Hub token; by default `HF_TOKEN`, or that of `hf auth login`.
        on_progress: As in `train`.
        changes: Settings to change, such as `backend` and `lr`.

    Raises:
        CheckFailed: The check found errors; nothing was created.
        BadConfig: The model has no record of its training, or it cannot be repeated here.
        HubtrainError: A step failed; the same call continues where it stopped.
    """
    from orchestrator import flow
    from orchestrator.original import original
    from orchestrator.settings.layers import ARGUMENTS

    typed(model, (str, os.PathLike), "the model", "'ann/support-bot'")
    with in_arguments():
        client = _client(token)
        found = original(client, os.fspath(model))
        return _launched(client, flow.rerun(client, found, _plain(changes), ARGUMENTS), on_progress)


def _launched(client: Jobs, asked: JobRequest, on_progress: OnProgress | None) -> Job:
    from backends.base import silent
    from orchestrator import flow

    checked = flow.check(client, asked)
    if isinstance(checked, flow.Refused):
        raise CheckFailed(as_arguments(checked.report))
    outcome = flow.submit(client, checked, on_progress or silent)
    if isinstance(outcome, flow.Refused):
        raise CheckFailed(as_arguments(outcome.report))
    return Job(client, outcome.record)


def init(task: str, folder: str | os.PathLike[str] = ".") -> list[Path]:
    """Write an example job and a sample of data into `folder`, as `hubtrain init` does.

    Returns the files, `job.yml` first: `train(config="job.yml")` trains it in that folder. Raises
    `BadConfig` if a file exists already, or if this task has no sample.
    """
    from orchestrator.samples import begin

    typed(task, str, "the task", "'llm-sft'")
    typed(folder, (str, os.PathLike), "the folder", "'first-job'")
    with in_arguments():
        return begin(task, Path(folder))


def check(
    task: str | None = None,
    *,
    config: str | os.PathLike[str] | None = None,
    token: str | None = None,
    **settings: Any,
) -> CheckReport:
    """Check a job as `train` does, free and in seconds, and return the report.

    `report.ok` says whether it may run, `report.findings` has all findings (each with `level`,
    `topic`, `text` and `fix`), `report.estimate` the expected time and cost. Arguments are those of
    `train`. Raises `BadConfig` if a setting is unknown or has an invalid value.
    """
    from orchestrator import flow

    with in_arguments():
        client, asked = _asked(task, config, token, settings)
        report = flow.check(client, asked).report
        return as_arguments(report.refused() if report.held else report)


def rehearse(
    task: str | None = None,
    *,
    config: str | os.PathLike[str] | None = None,
    token: str | None = None,
    steps: int = 3,
    runner: str = "process",
    on_progress: OnProgress | None = None,
    **settings: Any,
) -> Rehearsal:
    """Try a job for a few steps on a local Hub, as `hubtrain rehearse` does.

    Blocks until it has ended. `ok` says whether it succeeded, `proved()` and `unproved()` what it
    has shown and what it could not show (each with `topic` and `text`).

    Args:
        task: As for `train`, like `config`, `token`, `on_progress` and the settings.
        config: As above.
        token: As above.
        steps: Steps to train.
        runner: How the Space runs: `process`, or `docker`, which builds its image.
        on_progress: As above.
        settings: As above.

    Raises:
        CheckFailed: The check found errors.
        BadConfig: The job rents nothing, or a setting is unknown or has an invalid value.
        HubtrainError: Something is not installed, cannot be fetched, or does not start.
    """
    from backends.base import silent
    from orchestrator import flow
    from orchestrator.rehearsal import Runner, refuse_free
    from orchestrator.rehearsal import rehearse as tried

    with in_arguments():
        on = Runner.named(runner)
        client, named, gathered = _gathered(task, config, token, settings)
        asked = flow.ask(client, named, gathered)
        refuse_free(asked)
        checked = flow.check(client, asked)
        if isinstance(checked, flow.Refused):
            raise CheckFailed(as_arguments(checked.report))
        return tried(
            client,
            asked,
            checked.report,
            gathered,
            steps=steps,
            runner=on,
            on_progress=on_progress or silent,
        )


def export(
    model: str | os.PathLike[str], *, token: str | None = None, **settings: Any
) -> dict[str, Any]:
    """Convert a trained model to the format of another program, as `hubtrain export` does.

        hubtrain.export("support-bot", gguf="q8_0")["folder"]

    Blocks until it is written. Returns the same as `--json`: `folder`, and for a single file
    `file` and `size`.

    Args:
        model: A Hub id, a folder, or a job that succeeded: its id or its project's name.
        token: The Hub token; by default `HF_TOKEN`, or that of `hf auth login`.
        settings: The format and the target, as `hubtrain export --help` names them.

    Raises:
        BadConfig: A setting is unknown or invalid, or the model has no such format.
        HubtrainError: A step failed; nothing that looks complete is left.
    """
    from orchestrator.settings.layers import ARGUMENTS
    from orchestrator.tools import export_of

    typed(model, (str, os.PathLike), "the model", "'ann/support-bot'")
    with in_arguments():
        client = _client(token)
        given = {"model": os.fspath(model), **_plain(settings)}
        return export_of(client, given, ARGUMENTS).do(client)


def deploy(
    model: str,
    *,
    token: str | None = None,
    on_progress: OnProgress | None = None,
    **settings: Any,
) -> Deployment:
    """Deploy a trained model of the Hub on a page where it answers, as `hubtrain deploy` does.

    Checks and creates the deployment and returns at once; `wait` returns when it answers. A
    repeated call updates the deployment.

    Args:
        model: The model's repo on the Hub.
        token: The Hub token; by default `HF_TOKEN`, or that of `hf auth login`.
        on_progress: Called with the current step and the share done (0 to 1, or none).
        settings: Any setting of `hubtrain deploy --help`, such as `deploy_backend` and `system`.

    Raises:
        CheckFailed: The check found errors; nothing was created.
        BadConfig: A setting is unknown or has an invalid value.
        HubtrainError: A step failed, and what had been created was removed.
    """
    from backends.base import silent
    from orchestrator import deploy as flow
    from orchestrator.deploy.known import seen
    from orchestrator.deploy.request import deployment_request
    from orchestrator.settings.layers import ARGUMENTS

    typed(model, str, "the model", "'ann/support-bot'")
    with in_arguments():
        client = _client(token)
        wanted = deployment_request(_plain(settings), ARGUMENTS)
        checked = wanted.checked(client, model)
        if checked.ready is None:
            raise CheckFailed(as_arguments(checked))
        handle = flow.send(client, checked.ready, on_progress or silent)
        return Deployment(Here(client), seen(client, handle))


def job(name: str, *, token: str | None = None, refresh: bool = True) -> Job:
    """Return a job by its id, the start of it, its project's name, `latest`, or its handle.

    A handle also finds a job that another machine launched. Asks the provider for the job's
    state, unless `refresh` is off. Raises `BadConfig` if there is no such job.
    """
    typed(name, str, "the job", "'k4x7qp'")
    if not name:
        raise BadConfig("say which job: its id, its project's name, or 'latest'.")
    client = _client(token)
    found = Job(client, client.record(name))
    return found.refresh() if refresh else found


def jobs(*, token: str | None = None, refresh: bool = True) -> list[Job]:
    """Return all jobs this machine knows, newest first.

    Asks their providers for their state, unless `refresh` is off.
    """
    from concurrent.futures import ThreadPoolExecutor

    client = _client(token)
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
) -> tuple[Jobs, JobRequest]:
    from orchestrator import flow

    client, named, gathered = _gathered(task, config, token, settings)
    return client, flow.ask(client, named, gathered)


def _gathered(
    task: str | None,
    config: str | os.PathLike[str] | None,
    token: str | None,
    settings: dict[str, Any],
) -> tuple[Jobs, Task[Any], Settings]:
    from orchestrator.settings.files import read
    from orchestrator.settings.gather import gather, task_of, task_of_file, task_of_shell
    from orchestrator.settings.layers import ARGUMENTS
    from worker.placeholders import is_placeholder

    typed(task, str, "the task", "'llm-sft'")
    typed(config, (str, os.PathLike), "config", "'job.yml'")
    file = read(os.fspath(config)) if config is not None else None
    if task is not None:
        named, extra = task_of(task, "the task")
    else:
        named, extra = task_of_file(file) if file else task_of_shell()
    login = os.environ.get("HF_TOKEN", "")
    token = token or ("" if is_placeholder(login) else login) or (file.token() if file else None)
    client = _client(token)
    given = {**extra, **_plain(settings)}
    return client, named, gather(named, file, given, client.accounts, source=ARGUMENTS)


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with paths as text, as a file has them."""
    return {k: str(v) if isinstance(v, Path) else v for k, v in settings.items()}


def _client(token: str | None) -> Jobs:
    typed(token, str, "token", "'hf_…'")
    return Jobs(given_token=token)


def __getattr__(name: str) -> Any:
    """Import `CheckReport` on use: it costs more than all the rest."""
    if name == "CheckReport":
        from orchestrator.preflight.report import CheckReport

        return CheckReport
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
