"""From a request to a job that is launched: the steps that several verbs share."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from orchestrator import flow
from orchestrator.api import documents
from orchestrator.api.answers import Launch
from orchestrator.api.arguments import as_arguments
from orchestrator.api.errors import CheckRefused
from orchestrator.api.requests import JobAsked
from orchestrator.api.verb import Caller
from orchestrator.job_request import JobRequest
from orchestrator.jobs.client import Client
from orchestrator.jobs.summary import summed_up
from orchestrator.preflight import CheckReport
from orchestrator.settings import configfile
from orchestrator.settings.configfile import ConfigFile
from orchestrator.settings.files import read
from orchestrator.settings.gather import gather, task_of, task_of_file
from orchestrator.settings.layers import ARGUMENTS, Settings
from orchestrator.words import money
from worker.errors import BadConfig
from worker.task import Task

YAML = "the YAML"
"""What a file is called in messages whose text was sent."""


def gathered(client: Client, asked: JobAsked) -> tuple[Task[Any], Settings]:
    """Return the task of the job that is asked for, and all settings. Raises `BadConfig`."""
    file = file_of(client, asked)
    if file is not None and file.sweep:
        raise BadConfig(f"{file.source} says what a sweep tries, and this is one job.")
    return gathered_with(client, asked, file)


def gathered_with(
    client: Client, asked: JobAsked, file: ConfigFile | None
) -> tuple[Task[Any], Settings]:
    """Return the same with a file that was read already."""
    if asked.task is not None:
        task, extra = task_of(asked.task, "the task")
    elif file is not None:
        task, extra = task_of_file(file)
    else:
        raise BadConfig("say which task", fix='task="…"; `tasks` lists them')
    given = {**extra, **asked.settings}
    return task, gather(task, file, given, client.accounts, source=ARGUMENTS)


def file_of(client: Client, asked: JobAsked) -> ConfigFile | None:
    """Return the file that is given by its place or as text, whose variables are not filled in.

    Raises `BadConfig`, also for a guest of this machine who names a place.
    """
    if client.guest is not None and asked.config is not None:
        raise BadConfig("config: a place on the machine of this app.", fix="yaml, with its text")
    if asked.config is not None and asked.yaml is not None:
        raise BadConfig("config and yaml: give one of them.")
    if asked.yaml is not None:
        found = configfile.parsed(asked.yaml.encode(), YAML, from_web=False)
        return replace(found, from_web=True)
    return None if asked.config is None else read(asked.config)


def settled(client: Client, asked: JobAsked) -> JobRequest:
    """Return the job that is asked for, its settings validated. Raises `BadConfig`."""
    return flow.ask(client, *gathered(client, asked))


def passed(client: Client, job: JobRequest) -> flow.Checked:
    """Return a job whose check it has passed. Raises `CheckRefused`."""
    found = flow.check(client, job)
    if isinstance(found, flow.Refused):
        raise CheckRefused(found.report)
    return found


def launch(caller: Caller, asked: JobRequest) -> Launch:
    """Check and launch a job. Raises `CheckRefused`, and `BadConfig` where a cap is lacking."""
    client = caller.client
    found = passed(client, asked)
    if caller.needs_cap and (wrong := unbounded(asked, found.report)):
        raise wrong
    outcome = flow.submit(client, found, caller.on_progress)
    if isinstance(outcome, flow.Refused):
        raise CheckRefused(outcome.report)
    existed = isinstance(outcome, flow.AlreadyDone) or outcome.existed
    now = summed_up(outcome.record, client.clock.now())
    said = as_arguments(found.report)
    return Launch(job=now, existed=existed, findings=said.findings, estimate=said.estimate)


def unbounded(asked: JobRequest, report: CheckReport) -> BadConfig | None:
    """Return what is wrong with a job that costs and that nothing ends; else none."""
    usd = report.flavor.usd_per_hour
    if not usd or asked.job.max_cost or asked.job.max_duration:
        return None
    most = math.ceil(100 * report.estimate.usd_at_most) / 100
    return BadConfig(
        f"this costs {money(usd)} an hour on {report.flavor.name}, and nothing bounds it.",
        fix=f'max_cost={most:.2f}, its high estimate, or max_duration="2h"',
    )


def checked(report: CheckReport) -> documents.Checked:
    """Return a check as a document, in the words of those who give settings by name."""
    return documents.Checked.model_validate(as_arguments(report).to_json())
