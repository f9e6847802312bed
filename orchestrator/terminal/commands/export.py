"""`hubtrain export`: a trained model as another program takes it, or a job as others run it."""

from __future__ import annotations

from typing import Any

import click

from backends.slurm.options import SlurmOptions
from orchestrator import job_export
from orchestrator.flags import (
    JSON,
    TOKEN_OPTION,
    SettingsCommand,
    given,
    hidden,
    normalized,
    options_of,
)
from orchestrator.job_export import JobExport
from orchestrator.terminal.desk import Desk
from orchestrator.tools import MODEL, export_of, exports
from worker.task import Finding


class _Export(SettingsCommand):
    """Shows the flags of the tasks that export; they are looked for when they are needed."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        forms = [tool.settings for tool in exports().values()]
        flags = [*options_of([JobExport, *forms]), *hidden(options_of([SlurmOptions]))]
        own = [click.Argument([MODEL], metavar="MODEL"), *(f for f in flags if f.name != MODEL)]
        self.params = [*own, TOKEN_OPTION, JSON]
        return super().get_params(ctx)


@click.command("export", cls=_Export, context_settings={"token_normalize_func": normalized})
def COMMAND(**values: Any) -> int:  # noqa: N802
    """Write a model, or a job, in another program's form.

    MODEL is a Hub id, a folder, or a job that succeeded: its id or its project's name. With --slurm
    or --sky it is any job that this machine knows, and what runs it elsewhere is written.
    """
    own = {option.name: values.pop(str(option.name)) for option in (TOKEN_OPTION, JSON)}
    desk = Desk(bool(own["json"]))
    flags = given(values)
    if job_export.is_asked(flags):
        return _job(desk, str(flags.pop(MODEL)), flags)
    work = export_of(desk, flags)
    with desk.screen.waiting(f"Exporting {work.asked[MODEL]}"):
        done = work.do(desk)
    desk.screen.findings(Finding("ok", str(what), str(found)) for what, found in done.items())
    desk.screen.document(done)
    return 0


def _job(desk: Desk, name: str, flags: dict[str, Any]) -> int:
    """Write the folder of a job, and say what to type in it."""
    handed = job_export.hand_over(desk, name, flags)
    desk.screen.findings([Finding("ok", "folder", str(handed.folder))])
    desk.screen.say(f"run it   {handed.next}")
    desk.screen.document({"folder": str(handed.folder), "next": handed.next})
    return 0
