"""The command of a task: its settings as flags, and the way from them to a finished job.

Every task gets the same command; what differs is read off its declaration.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

import backends
from backends.base import Backend
from orchestrator import package as packing
from orchestrator.desk import Desk
from orchestrator.flags import SettingsCommand, given, options_of
from orchestrator.follow import detachable, follow
from orchestrator.inference import answer
from orchestrator.job import JobSettings, project_of
from orchestrator.listing import summary
from orchestrator.preflight import Report, Request, check
from orchestrator.settings import (
    FLAGS,
    Catalog,
    Layer,
    Settings,
    from_environment,
    from_file,
    merge,
)
from orchestrator.submit import Order, Submitted, submit
from orchestrator.words import duration
from worker.contract import DataRef, Machine
from worker.errors import BadConfig
from worker.home import home
from worker.hubclient import hub
from worker.task import Finding, Task

COMMAND_OPTIONS = (
    click.Option(["--train"], is_flag=True, help="Train a model."),
    click.Option(["--deploy"], is_flag=True, hidden=True, help="Deploy a model."),
    click.Option(["--inference"], is_flag=True, help="Answer --prompt with --model."),
    click.Option(["--prompt"], help="What to answer (--inference)."),
    click.Option(["--max-new-tokens"], type=int, default=128, help="Longest answer (--inference)."),
    click.Option(["--config"], type=click.Path(path_type=Path), help="YAML file with settings."),
    click.Option(["--token"], help="Hub token; better in HF_TOKEN or from `hf auth login`."),
    click.Option(["--dry-run"], is_flag=True, help="Check, print the plan, create nothing."),
    click.Option(["--detach"], is_flag=True, help="Launch and leave; do not watch."),
    click.Option(["--json"], is_flag=True, help="Print one JSON document."),
)
_OWN = {option.name for option in COMMAND_OPTIONS}


def task_command(task: Task[Any]) -> click.Command:
    """Return the command that trains this task."""
    options: list[click.Parameter] = [*COMMAND_OPTIONS, *options_of(_classes(task))]

    def run(**values: Any) -> int:
        own = {name: values.pop(name) for name in list(values) if name in _OWN}
        return _run(task, own, given(values))

    return SettingsCommand(task.name, params=options, callback=run, help=task.help)


def run_config(path: Path, program: click.Group) -> int:
    """Run the job of a YAML file, whatever its task: `hubtrain --config FILE`."""
    _, named = from_file(path)
    task, extra = _task_of(str(named or ""))
    return _run(task, {"train": True, "config": path}, extra)


def _task_of(name: str) -> tuple[Task[Any], dict[str, Any]]:
    """Return the task a file means by `llm`, `llm-sft`, `llm:sft`, and what else that says."""
    import worker.tasks

    wanted = name.replace(":", "-")
    for known in worker.tasks.names():
        spelled = known.replace("_", "-")
        if wanted == spelled:
            return worker.tasks.load(known), {}
        if wanted.startswith(spelled + "-"):
            return worker.tasks.load(known), {"trainer": wanted.removeprefix(spelled + "-")}
    raise BadConfig(f"the file's task is {name!r}; there are: {', '.join(worker.tasks.names())}")


def _classes(task: Task[Any]) -> tuple[Any, ...]:
    options = tuple(backends.load(name).options for name in backends.names())
    return (JobSettings, task.params, *options)


@dataclass(frozen=True)
class Asked:
    """A command's settings, read and validated."""

    task: Task[Any]
    params: Any
    job: JobSettings
    backend: Backend[Any]
    flavor: str | None
    options: Any
    project: str


def _run(task: Task[Any], own: Mapping[str, Any], flags: dict[str, Any]) -> int:
    desk = Desk(bool(own.get("json")))
    settings = _settings(task, own.get("config"), flags)
    if own.get("inference"):
        return answer(desk, settings.values.get("model"), own)
    if own.get("deploy"):
        raise BadConfig("--deploy is not there yet; --train and --inference are")
    if not own.get("train"):
        raise BadConfig("say what to do: --train, or --inference")
    asked = _asked(task, settings, desk)
    report = _checked(desk, asked)
    if report is None:
        return 2
    with _packed(desk, asked, report) as package:
        if own.get("dry_run"):
            return _show_plan(desk, asked, report, package)
        submitted = _submitted(desk, asked, report, package)
    return _watched(desk, submitted, detach=bool(own.get("detach")))


def _settings(task: Task[Any], config: Path | None, flags: dict[str, Any]) -> Settings:
    catalog = Catalog(_classes(task))
    layers: list[Layer] = []
    if config is not None:
        layer, named = from_file(config)
        extra = _task_of(named)[1] if named else {}
        layers.append(Layer(layer.source, {**extra, **layer.values}))
        if token := dict(layer.values).get("token"):
            os.environ.setdefault("HF_TOKEN", str(token))
    layers += [from_environment(catalog, os.environ), Layer(FLAGS, flags)]
    return merge(catalog, layers)


def _asked(task: Task[Any], settings: Settings, desk: Desk) -> Asked:
    wrong: list[str] = []
    read: dict[Any, Any] = {}
    for params in (JobSettings, task.params):
        try:
            read[params] = settings.of(params)
        except BadConfig as error:
            wrong.append(error.message)
    if wrong:
        raise BadConfig("\n".join(wrong))
    job = read[JobSettings]
    place = backends.resolve(job.backend)
    options = settings.of(place.backend.options)
    backend = place.backend(desk.token, desk.clock)
    project = project_of(job)
    return Asked(task, read[task.params], job, backend, place.flavor, options, project)


def _checked(desk: Desk, asked: Asked) -> Report | None:
    """Check the job for free and show the report; none if something must be mended first."""
    with desk.screen.waiting("Checking"):
        request = Request(
            task=asked.task,
            params=asked.params,
            project=asked.project,
            owner=asked.job.username,
            token_given=desk.token is not None,
            job=asked.job,
            flavor=asked.flavor,
        )
        report = check(request, hub(desk.token), asked.backend, desk.clock)
    desk.screen.say(f"Checked in {duration(report.seconds)}, nothing rented")
    desk.screen.findings(report.findings)
    wrong = [f for f in report.findings if f.level == "error"]
    if wrong:
        things = "1 thing" if len(wrong) == 1 else f"{len(wrong)} things"
        desk.screen.say(f"{things} to mend. Nothing was created.")
        desk.screen.document(_report_document(report))
        return None
    return report


def _report_document(report: Report) -> dict[str, Any]:
    return {"report": report.to_json()}


@contextmanager
def _packed(desk: Desk, asked: Asked, report: Report) -> Iterator[packing.Package]:
    """Yield the data packed in a folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="hubtrain-", dir=_scratch()))
    try:
        with desk.screen.stages() as stages:
            yield packing.package(report.source, asked.params, folder, stages)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _scratch() -> Path:
    folder = home() / "scratch"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _order(asked: Asked, report: Report, data: DataRef) -> Order:
    push = report.push
    return Order(
        task=asked.task.name,
        params=asked.params.model_dump(mode="json"),
        project=asked.project,
        owner=report.owner,
        model=report.model,
        data=data,
        push=push,
        machine=Machine(
            backend=asked.backend.name,
            flavor=report.flavor.name,
            usd_per_hour=report.flavor.usd_per_hour,
        ),
        limits=asked.job.limits(),
        output=None if push and asked.backend.needs_hub else Path.cwd() / asked.project,
        extras=asked.task.requirements,
    )


def _show_plan(desk: Desk, asked: Asked, report: Report, package: packing.Package) -> int:
    data = packing.planned_ref(package, report.owner)
    order = _order(asked, report, data)
    plan = asked.backend.plan(order.spec("xxxxxx"), asked.options)
    desk.screen.say("", "The plan; nothing was created:", *str(plan).splitlines())
    desk.screen.document({**_report_document(report), "plan": plan.to_json()})
    return 0


def _submitted(desk: Desk, asked: Asked, report: Report, package: packing.Package) -> Submitted:
    with desk.screen.stages() as stages:
        if asked.backend.needs_hub:
            data = packing.upload(package, hub(desk.token), str(report.owner), stages)
        else:
            data = packing.local_ref(package, home() / "data")
        order = _order(asked, report, data)
        secrets = {"HF_TOKEN": desk.token} if desk.token else {}
        return submit(
            order,
            asked.backend,
            asked.options,
            secrets,
            records=desk.records,
            clock=desk.clock,
            report=stages,
        )


def _watched(desk: Desk, submitted: Submitted, *, detach: bool) -> int:
    record = submitted.record
    if submitted.existed:
        desk.screen.findings(
            [
                Finding(
                    "warn", "job", f"this very job is already there as {record.job_id}; nothing new"
                )
            ]
        )
    if detach:
        desk.screen.say(f"Launched as {record.job_id}: {submitted.handle}")
        desk.screen.say(f"watch it   hubtrain logs -f {record.job_id}")
        desk.screen.document(summary(record, desk.clock.now()))
        return 0
    with detachable(desk, record):
        return follow(desk, record)
