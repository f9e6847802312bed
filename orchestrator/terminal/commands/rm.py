"""`hubtrain rm`: delete what a job left at its provider, and its record here."""

from __future__ import annotations

from typing import Any

import click

from orchestrator import completing
from orchestrator.exits import FAILED
from orchestrator.jobs.records import Record
from orchestrator.jobs.removal import Data, data_of, remove_job
from orchestrator.sweep import spec as sweeps
from orchestrator.terminal.deployments import remove
from orchestrator.terminal.desk import Desk
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
        except HubtrainError as error:
            if len(named) == 1:
                raise
            desk.screen.findings([Finding("error", name, error.message, error.fix)])
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
        remove_job(desk, record, force=force)
        desk.screen.say(f"Removed {record.job_id}  {record.spec.project}")
    kept = data_of(desk, record, remove=data and not forget)
    _tell_of_data(desk, kept, asked=data and not forget)
    return kept.document(record.job_id).model_dump()


def _forgotten(desk: Desk, record: Record) -> None:
    desk.records.remove(record.job_id, desk.clock.now())
    handle = record.story.handle
    left = f"; {handle} is left as it is" if handle and not record.settled else ""
    desk.screen.say(f"Forgot {record.job_id}  {record.spec.project}{left}")


def _tell_of_data(desk: Desk, data: Data, *, asked: bool) -> None:
    """Name the dataset of a job's packed data, and say what became of it."""
    if data.failed is not None:
        desk.screen.findings([Finding("error", "data", data.failed.message, data.failed.fix)])
    elif data.used:
        desk.screen.say(f"  its data {data.used}")
    elif data.removed:
        desk.screen.say(f"  and its data {data.repo_id}")
    elif data.repo_id and not asked:
        desk.screen.say(
            f"  its data stays: {data.repo_id} (private); hubtrain gc --data removes it"
        )
