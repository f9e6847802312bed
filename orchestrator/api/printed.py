"""Which documents each command prints with `--json`. Any of them may print a `Failure` instead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from backends.base import Flavor
from orchestrator.api import documents as d
from orchestrator.api.errors import Failure
from orchestrator.deploy.documents import Deployment, DeploymentPlan, RemovedDeployment
from orchestrator.jobs.ledger import Ledger
from orchestrator.jobs.removal import RemovedJob
from orchestrator.jobs.summary import JobSummary
from orchestrator.preflight.offering import Offers
from orchestrator.rehearsal.documents import Rehearsed
from orchestrator.sweep.documents import Sweep
from worker.finding import Finding

TASK = "TASK"
"""Stands for the command of any task."""


@dataclass(frozen=True, slots=True)
class Printed:
    """A document of a command."""

    command: str
    document: Any
    when: str = ""
    """With which words, where it has several documents."""

    a_line: bool = False
    """Whether there is one on each line, instead of one in all."""


PRINTED = (
    Printed("app", Deployment, "--on-space"),
    Printed("app", DeploymentPlan, "--on-space --dry-run"),
    Printed(TASK, d.Trained, "--train"),
    Printed(TASK, d.Plan, "--train --dry-run"),
    Printed(TASK, d.Answer, "--inference"),
    Printed(TASK, d.Answers, "--inference with --output"),
    Printed(TASK, dict[str, Any], "--inference of a file: a row with its answer", a_line=True),
    Printed(TASK, Deployment, "--deploy"),
    Printed("backends", dict[str, list[Flavor]]),
    Printed("backends", Offers, "--for"),
    Printed("cancel", list[JobSummary | Deployment]),
    Printed("config", d.Configured),
    Printed("cost", Ledger),
    Printed("data", d.Uploaded),
    Printed("deploy", Deployment),
    Printed("deploy", DeploymentPlan, "--dry-run"),
    Printed("doctor", list[Finding]),
    Printed("export", dict[str, Any], "of a model: what came of it, `folder` among it"),
    Printed("export", d.Handed, "--slurm, --sky"),
    Printed("gc", d.Leftovers),
    Printed("init", d.Begun),
    Printed("jobs", list[JobSummary | Deployment]),
    Printed("logs", d.AnyLine, a_line=True),
    Printed("rehearse", Rehearsed),
    Printed("rerun", d.Trained),
    Printed("rerun", d.Plan, "--dry-run"),
    Printed("resume", d.Trained),
    Printed("resume", d.Plan, "--dry-run"),
    Printed("rm", list[RemovedJob | RemovedDeployment | d.NotRemoved]),
    Printed("setup", list[Finding]),
    Printed("status", JobSummary | Sweep | Deployment),
    Printed("sweep", Sweep),
    Printed("sweep", d.SweepPlan, "--dry-run"),
    Printed("tasks", list[d.Kind]),
    Printed("tools", dict[str, Any], "what came of it"),
)

WITHOUT = ("completion", "hub", "mcp", "schema")
"""Commands without a document: programs of their own, and those that print for programs anyway."""


def of_command(command: str) -> Iterator[Printed]:
    """Yield what a command prints; that of a task is `TASK`."""
    return (one for one in PRINTED if one.command == command)


def document_of(command: str) -> Any:
    """Return the type of all that a command may print, failures among it."""
    found: Any = Failure
    for one in of_command(command):
        found |= one.document
    return found
