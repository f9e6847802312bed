"""`hubtrain logs`: what a job printed, and what it measured."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext

import click

from orchestrator import completing
from orchestrator.exits import FAILED
from orchestrator.jobs.lines import lines
from orchestrator.jobs.records import Record
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.follow import detachable, follow
from worker.contract import EndReason, Metric, from_marked
from worker.task import Finding


@click.command("logs")
@click.argument("job", shell_complete=completing.jobs)
@click.option("--follow", "-f", "following", is_flag=True, help="Stay until the job ends.")
@click.option("--events", is_flag=True, help="Print the job's events instead of its output.")
@click.option("--json", "as_json", is_flag=True, help="Print events and lines as JSON, one a line.")
def COMMAND(job: str, following: bool, events: bool, as_json: bool) -> int:  # noqa: N802
    """Print a job's output, or watch it with -f.

    What it measured is among the lines. JOB is the job's id, the start of it, its project's name,
    `latest`, or its handle. Ctrl-C leaves the job running. With -f it exits as the job did: 0 only
    on success. Of a deployment it prints what was written while it started.
    """
    desk = Desk(as_json)
    if (handle := desk.deployment(job)) is not None:
        from orchestrator.terminal import deployments

        return deployments.logs(desk, handle)
    record = desk.record(job)
    with detachable(desk, record) if following else nullcontext():
        watching = following and not (events or as_json)
        if not watching or record.ended:
            _print(desk, lines(desk, record, follow=following), events=events)
        if watching:
            return follow(desk, record, lines=True)
        return _as_the_job(desk, record) if following else 0


def _as_the_job(desk: Desk, record: Record) -> int:
    """Return the exit code of a job whose lines have come to their end."""
    known = desk.watch(desk.records.get(record.job_id)).follow()
    return 0 if known.story.reason is EndReason.OK else FAILED


def _print(desk: Desk, printed_lines: Iterable[str], *, events: bool) -> None:
    printed = 0
    for line in printed_lines:
        event = from_marked(line)
        if desk.as_json:
            desk.screen.document({"line": line} if event is None else event.model_dump(mode="json"))
        elif events == (event is not None):
            desk.screen.plain(line)
        elif isinstance(event, Metric):
            desk.screen.plain(measured(event))
        else:
            continue
        printed += 1
    if not printed and not desk.as_json:
        text = "nothing is left of its output, or nothing has come yet"
        desk.screen.findings([Finding("warn", "logs", text, "hubtrain logs --events JOB")])


def measured(metric: Metric) -> str:
    """Return a measurement as a line of output: `step 20 · loss 1.132 · lr 0.0001`."""
    values = (f"{name.replace('_', ' ')} {value:.4g}" for name, value in metric.values.items())
    return " · ".join([f"step {metric.step}", *values])
