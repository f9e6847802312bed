"""`hubtrain init`: a job's file and a tiny sample of data, to begin with."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from orchestrator import completing
from orchestrator.samples import begin
from orchestrator.terminal.desk import Desk
from orchestrator.words import count
from worker.task import Finding


@click.command("init")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.argument("task", shell_complete=completing.tasks)
@click.argument("folder", required=False, type=click.Path(path_type=Path))
def COMMAND(task: str, folder: Path | None, as_json: bool) -> int:  # noqa: N802
    """Write a job to begin with, and a sample of data.

    TASK is a name that `hubtrain tasks` lists. FOLDER is made if it is not there, and is called as
    the task is where you name none. The job runs as it stands; its file has all that can be set,
    with its meaning. Nothing that is there is written over.
    """
    desk = Desk(as_json)
    folder = folder or Path(task.replace(":", "-").replace("_", "-"))
    job, *rest = begin(task, folder)
    desk.screen.document({"folder": str(folder), "job": str(job), "files": list(map(str, rest))})
    shown = rest[0].name if len(rest) == 1 else count(len(rest), "file")
    text = f"{job.name} and {shown} in {folder}"
    desk.screen.findings([Finding("ok", task, text)])
    there = shlex.quote(str(folder))
    desk.screen.say(
        "", f"go there   cd {there}", f"check it   hubtrain --config {job.name} --dry-run"
    )
    desk.screen.say(f"train      hubtrain --config {job.name}")
    return 0
