"""`hubtrain rm`: delete what a job left at its provider, and its record here."""

from __future__ import annotations

from typing import Any

import click

from orchestrator import completing
from orchestrator.jobs.records import Record
from orchestrator.jobs.removal import remove_job
from orchestrator.sweep import spec as sweeps
from orchestrator.terminal.deployments import remove
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.exits import FAILED
from orchestrator.terminal.named import singly
from orchestrator.terminal.question import agreed, someone_is_there
from worker.errors import HubtrainError
from worker.task import Finding


@click.command("rm")
@click.argument("jobs", nargs=-1, required=True, shell_complete=completing.jobs)
@click.option("--yes", "-y", is_flag=True, help="Delete without asking, also on a terminal.")
@click.option("--force", is_flag=True, help="Stop jobs that still run.")
@click.option("--data", is_flag=True, help="Also delete the private dataset of their packed data.")
@click.option("--forget", is_flag=True, help="Delete the record alone, and ask nobody.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def COMMAND(  # noqa: N802, PLR0917
    jobs: tuple[str, ...], yes: bool, force: bool, data: bool, forget: bool, as_json: bool
) -> int:
    """Delete jobs, sweeps, deployments; models stay.

    Their Spaces or folders go, and their records. The dataset of their packed data stays, too,
    without --data. On a terminal it asks first; a script has named what it wants deleted and is
    not asked. Exits 0 if all is gone.
    """
    desk = Desk(as_json)
    asks = not yes and someone_is_there(as_json=as_json)
    if asks and not agreed(desk, _question(jobs, data)):
        return FAILED
    removed = []
    named = singly(desk, jobs)
    for name in named:
        try:
            removed.append(_one(desk, name, force=force, data=data, forget=forget))
        except (HubtrainError, click.UsageError) as error:
            if len(named) == 1:
                raise
            fix = getattr(error, "fix", "")
            desk.screen.findings([Finding("error", name, error.message, fix)])
            removed.append({"job": name, "problem": error.message})
    for name in sweeps.names():
        if name in jobs and not desk.records.of_sweep(name):
            sweeps.forget(name)
            desk.screen.say(f"Removed the sweep {name}")
    desk.screen.document(removed)
    return FAILED if any(one.get("problem") for one in removed) else 0


def _question(jobs: tuple[str, ...], data: bool) -> str:
    what = f"Delete {', '.join(jobs)}{', and the packed data' if data else ''}?"
    return f"  {what} Models stay."


def _one(desk: Desk, name: str, *, force: bool, data: bool, forget: bool) -> dict[str, Any]:
    """Delete one job and return what became of it, for `--json`. Raises what keeps it."""
    if handle := desk.deployment(name):
        return remove(desk, handle, forget=forget)
    record = desk.record(name)
    if forget:
        _forgotten(desk, record)
    else:
        _removed(desk, record, force=force)
    return {"job": record.job_id, **_data(desk, record, remove=data and not forget)}


def _forgotten(desk: Desk, record: Record) -> None:
    desk.records.remove(record.job_id)
    handle = record.story.handle
    left = f"; {handle} is left as it is" if handle and not record.settled else ""
    desk.screen.say(f"Forgot {record.job_id}  {record.spec.project}{left}")


def _removed(desk: Desk, record: Record, *, force: bool) -> None:
    remove_job(desk, record, force=force)
    desk.screen.say(f"Removed {record.job_id}  {record.spec.project}")


def _data(desk: Desk, record: Record, *, remove: bool) -> dict[str, Any]:
    """Name the dataset of a job's packed data, or delete it; what became of it, for `--json`."""
    from orchestrator.jobs.stored import InUse, discard, packed_data

    repo_id = packed_data(record.spec)
    if repo_id is None:
        return {"data": None, "data_removed": False}
    about: dict[str, Any] = {"data": repo_id, "data_removed": False}
    if not remove:
        desk.screen.say(f"  its data stays: {repo_id} (private); hubtrain gc --data removes it")
        return about
    try:
        removed = discard(desk, repo_id)
    except InUse as used:
        desk.screen.say(f"  its data {used.message}")
        return about
    except HubtrainError as error:
        desk.screen.findings([Finding("error", "data", error.message, error.fix)])
        return {**about, "problem": error.message}
    if removed:
        desk.screen.say(f"  and its data {repo_id}")
    return {**about, "data_removed": removed}
