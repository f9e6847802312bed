"""`hubtrain rm`: delete what a job left at its provider, and its record here."""

from __future__ import annotations

import click

from backends.handle import Handle
from orchestrator.desk import Desk


@click.command("rm")
@click.argument("jobs", nargs=-1, required=True)
@click.option("--force", is_flag=True, help="Stop jobs that still run.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def COMMAND(jobs: tuple[str, ...], force: bool, as_json: bool) -> int:  # noqa: N802
    """Delete jobs: their Spaces or folders, and their records. Models that were pushed stay."""
    desk = Desk(as_json)
    removed = []
    for name in jobs:
        record = desk.refreshed(desk.record(name))
        if not record.story.state.final and record.story.handle:
            if not force:
                raise click.UsageError(f"{record.job_id} still runs; --force stops it first")
            record = desk.watch(record).cancel()
        if record.story.handle:
            desk.backend(record).remove(Handle.parse(record.story.handle))
        desk.records.remove(record.job_id)
        desk.screen.say(f"Removed {record.job_id}  {record.spec.project}")
        removed.append(record.job_id)
    desk.screen.document(removed)
    return 0
