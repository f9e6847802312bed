"""`hubtrain resume`: go on from the last checkpoint of a job that ended without its model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

import worker.tasks
from orchestrator import completing, flow
from orchestrator.jobs.resumed import job_to_resume, successor
from orchestrator.terminal.any_task import TAKES_ALL, TakesSettings, with_changes, words_of_settings
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.follow import close
from orchestrator.terminal.train import run
from worker.finding import Finding


@click.command("resume", cls=TakesSettings, context_settings=TAKES_ALL)
@click.argument("job", shell_complete=completing.resumable)
@words_of_settings("changes", "[SETTINGS]...")
def COMMAND(job: str, changes: tuple[str, ...]) -> int:  # noqa: N802
    """Go on from the last checkpoint of a job that ended.

    JOB is the job's id, the start of it, its project's name, `latest`, its handle, or OWNER/NAME of
    its model repo. SETTINGS are those of its task, with --dry-run, --detach and --json among them;
    what is not given is as it was. It may go on anywhere (--backend), longer (--epochs), at another
    rate (--lr), with other limits and other checkpoints; not with another model, data, trainer,
    adapter or optimizer. The same command again finds the same job.
    """
    desk = Desk("--json" in changes)
    record = job_to_resume(desk, job)
    if done := successor(desk, record):
        text = f"{record.job_id} was gone on with and has been done as {done.job_id}"
        desk.screen.findings([Finding("warn", "job", f"{text}; nothing new is launched")])
        return close(desk, done)
    task = worker.tasks.load(record.spec.task)

    def resume(changes: Mapping[str, Any], *, dry_run: bool, detach: bool) -> int:
        return run(desk, flow.resume(desk, record, changes), dry_run=dry_run, detach=detach)

    return with_changes("resume", job, task, changes, resume)
