"""`hubtrain resume`: go on from the last checkpoint of a job that ended without its model."""

from __future__ import annotations

import click

import worker.tasks
from orchestrator import flow
from orchestrator.flow import AlreadyDone
from orchestrator.jobs.resumed import job_to_resume, successor
from orchestrator.settings.gather import classes_of
from orchestrator.terminal.any_task import TAKES_ALL
from orchestrator.terminal.command import DETACH, DRY_RUN, JSON, TOKEN_OPTION
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.flags import SettingsCommand, given, normalized, options_of
from orchestrator.terminal.train import already_done, run

_OWN = (TOKEN_OPTION, DRY_RUN, DETACH, JSON)


@click.command("resume", context_settings=TAKES_ALL)
@click.argument("job")
@click.argument("changes", nargs=-1, type=click.UNPROCESSED, metavar="[SETTINGS]...")
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
        return already_done(desk, AlreadyDone(done))
    task = worker.tasks.load(record.spec.task)

    def resume(**values: object) -> int:
        own = {str(option.name): values.pop(str(option.name)) for option in _OWN}
        asked = flow.resume(desk, record, given(values))
        return run(desk, asked, dry_run=bool(own["dry_run"]), detach=bool(own["detach"]))

    command = SettingsCommand(
        "resume",
        params=[*_OWN, *options_of(classes_of(task))],
        callback=resume,
        context_settings={"token_normalize_func": normalized},
    )
    name = f"hubtrain resume {job}"
    code: int = command.main(list(changes), prog_name=name, standalone_mode=False)
    return code
