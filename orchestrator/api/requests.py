"""What may be asked of the verbs: typed, each field with its meaning; others are refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import BaseModel, ConfigDict

from orchestrator.rehearsal import STEPS
from orchestrator.settings.sweep import SweepSettings

MOST_LINES = 1000
LONGEST_WAIT = 50.0
"""Seconds: what calls a tool, or waits for a page, often gives up after a minute."""


class Request(BaseModel):
    """Base of all requests."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Nothing(Request):
    """There is nothing to say."""


class JobAsked(Request):
    """A job by its task and settings."""

    task: str | None = None
    """What to train, as `tasks` lists it: `llm-sft`. None is the task of the file."""

    settings: dict[str, Any] = {}
    """Settings by their names: those of `settings` for this task. They win over a file's."""

    config: str | None = None
    """A YAML file of settings: its path where hubtrain runs, or its address. None reads none."""

    yaml: str | None = None
    """The text of such a file, instead of its path."""


class Check(JobAsked):
    """A job to be checked."""


class Train(JobAsked):
    """A job to be launched. What costs needs `max_cost` or `max_duration` among its settings."""


class Rehearse(JobAsked):
    """A job to be tried for a few steps, free, on a Hub of the machine hubtrain runs on."""

    steps: Annotated[int, Ge(1), Le(100)] = STEPS
    """Steps to train."""


class Compare(JobAsked):
    """A job whose price on each machine is asked for."""


class Jobs(Request):
    """Which jobs to list."""

    refresh: bool = True
    """Ask the providers of those that run how they are now."""

    limit: Annotated[int, Ge(1), Le(1000)] = 50
    """Most jobs to return, the newest first."""

    open_only: bool = False
    """Leave out those that have ended and cost nothing."""


class Named(Request):
    """A job by its name."""

    job: str
    """Its id, the start of it, its project's name, `latest`, or its handle."""


class Job(Named):
    """A job that is asked about."""

    wait_seconds: Annotated[float, Ge(0), Le(LONGEST_WAIT)] = 0.0
    """Answer once it has ended, or after so many seconds: better than to ask again and again."""


class JobAndEvents(Job):
    """A job of which everything is asked for."""


class Logs(Named):
    """Lines of a job's output."""

    after: Annotated[int, Ge(0)] | None = None
    """Begin behind so many lines: `next` of an earlier answer. None: the last lines there are."""

    limit: Annotated[int, Ge(1), Le(MOST_LINES)] = 100
    """Most lines to return."""


class Ask(Named):
    """Questions to the model of a job."""

    questions: Annotated[list[str | dict[str, Any]], MinLen(1)]
    """Prompts, or, of a model that takes none, its fields or columns as in `{"text": "…"}`."""

    settings: dict[str, Any] = {}
    """Those of `hubtrain TASK --inference --help`, such as `max_new_tokens`."""


class Cancel(Named):
    """A job that is to be stopped."""


class Resume(Named):
    """A job to go on with from its last checkpoint. What costs needs a cap, as in `train`."""

    settings: dict[str, Any] = {}
    """Settings that are to be others than they were, such as `backend` and `epochs`."""


class Remove(Named):
    """A job to be deleted. Its model stays."""

    force: bool = False
    """Stop it first if it still runs."""

    data: bool = False
    """Delete the private dataset of its packed data, too."""


class Cost(Request):
    """How to sum up what jobs have cost."""

    by: Literal["month", "project", "backend", "task", "sweep", "job"] = "month"
    month: str | None = None
    """Only jobs that were made in this month: `2026-11`."""

    refresh: bool = True
    """Ask the providers of jobs that run how they are now."""


class OfTask(Request):
    """Which settings to describe."""

    task: str
    """A name that `tasks` lists."""

    group: str | None = None
    """Only those of one group; `groups` of the answer names them."""


class CheckSweep(JobAsked):
    """A sweep to be checked: one job with many settings."""

    tries: dict[str, Any] = {}
    """What to try, by setting: a list of values, `{"low": 1e-6, "high": 1e-3, "log": true}`, or
    text as behind `--try`. They win over those of the file's block `sweep`."""

    how: SweepSettings = SweepSettings()
    """How settings are chosen, how many, and how many trials run at a time."""


class StartSweep(CheckSweep):
    """A sweep to be run. What costs needs `max_cost` among its settings: it bounds the whole."""


class NamedSweep(Request):
    """A sweep by its name."""

    sweep: str
    """The name of its project."""


class RemoveSweep(NamedSweep):
    """A sweep to be deleted. Models stay."""

    force: bool = False
    """Stop it first if it still runs."""

    data: bool = False
    """Delete the private datasets of its packed data, too."""


class SweepAsked(NamedSweep):
    """A sweep that is asked about."""

    wait_seconds: Annotated[float, Ge(0), Le(LONGEST_WAIT)] = 0.0
    """Answer once it has ended, or after so many seconds."""


class CheckDeployment(Request):
    """A deployment to be checked."""

    model: str
    """The trained model: its repo on the Hub."""

    settings: dict[str, Any] = {}
    """How it is deployed, by the names of `hubtrain deploy --help` with underscores: such as
    `deploy_backend` (`spaces`, `spaces-t4`), `deploy_sleep` and `system`."""

    max_usd_per_hour: Annotated[float, Gt(0)] | None = None
    """Most US dollars that an hour of it may cost while it is awake."""


class Deploy(CheckDeployment):
    """A deployment to be made. What costs needs `max_usd_per_hour`."""


class NamedDeployment(Request):
    """A deployment by its name."""

    deployment: str
    """Its handle, as `deploy` answers with it, or its name."""


class DeploymentAsked(NamedDeployment):
    """A deployment that is asked about."""

    wait_seconds: Annotated[float, Ge(0), Le(LONGEST_WAIT)] = 0.0
    """Answer once it answers itself, or after so many seconds."""
