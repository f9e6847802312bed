"""`hubtrain jobs`: every job this laptop knows, as its provider knows it now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from orchestrator.exits import FAILED
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.joblist import JobList, documents, say
from worker.finding import Finding

if TYPE_CHECKING:
    from orchestrator.deploy.known import Known
    from orchestrator.jobs.glance import Glance

_DAYS = 7


@click.command("jobs")
@click.option("--all", "-a", "everything", is_flag=True, help="Also those of more than a week ago.")
@click.option("--watch", "-w", "watching", is_flag=True, help="Stay, and show what changes.")
@click.option("--remote", is_flag=True, help="Also those this laptop never knew, by their tag.")
@click.option("--username", "owners", multiple=True, help="Account for --remote; yours by default.")
@click.option("--offline", is_flag=True, help="Ask no provider; show what was known last.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def COMMAND(  # noqa: N802, PLR0917
    everything: bool,
    watching: bool,
    remote: bool,
    owners: tuple[str, ...],
    offline: bool,
    as_json: bool,
) -> int:
    """List jobs and deployments, and what costs now.

    Of each its state, how far it is, what it measures and what it cost. Exits 0 if all that is
    shown is as of now, or --offline asked for no more. --watch paints the list anew until Ctrl-C;
    in a pipe it prints a line for each change, with --json a document of the job.
    """
    if (remote or owners) and (offline or watching):
        why = "asks nobody" if offline else "shows jobs on record here"
        flag = "--offline" if offline else "--watch"
        raise click.UsageError(f"{flag} {why}, and --remote asks for what is unknown here")
    desk = Desk(as_json)
    if watching:
        from orchestrator.terminal.watching import watch

        return watch(desk, lambda job: everything or _recent(job, desk), offline=offline)
    jobs = [job for job in desk.glances() if everything or _recent(job, desk)]
    shown = JobList(jobs if offline else desk.asked(jobs))
    if not offline:
        shown.deployed = _deployed(desk)
    if remote or owners:
        _find(desk, owners, shown, everything=everything)
    if as_json:
        desk.screen.documents(documents(desk, shown))
    else:
        say(desk, desk.screen, shown, offline=offline)
    desk.screen.findings(map(_half_removed, desk.records.being_removed() if jobs else []))
    return 0 if shown.as_of_now else FAILED


def _half_removed(job: str) -> Finding:
    text = f"{job} is being removed, or that was cut short"
    return Finding("warn", "rm", text, "hubtrain gc ends it")


def _recent(job: Glance, desk: Desk) -> bool:
    return not job.settled or job.age(desk.clock.now()).days < _DAYS


def _find(desk: Desk, owners: tuple[str, ...], shown: JobList, *, everything: bool) -> None:
    """Add the jobs that this laptop never knew."""
    from orchestrator.jobs.remote import remote
    from orchestrator.jobs.seen import glance_of

    found = remote(desk, owners)
    seen = [(record, glance_of(record)) for record in found.jobs]
    new = [pair for pair in seen if everything or _recent(pair[1], desk)]
    shown.jobs = [*shown.jobs, *(glance for _, glance in new)]
    shown.remote = {record.job_id: record for record, _ in new}
    shown.unanswered = found.unanswered


def _deployed(desk: Desk) -> list[Known]:
    if not desk.has_deployed:
        return []
    from orchestrator.deploy.known import known_deployments

    return known_deployments(desk)
