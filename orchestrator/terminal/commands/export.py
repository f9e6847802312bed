"""`hubtrain export`: a trained model in the form that another program takes, as its task says."""

from __future__ import annotations

from typing import Any

import click

from orchestrator.terminal.command import JSON, TOKEN_OPTION
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.flags import SettingsCommand, given, normalized, options_of
from orchestrator.tools import MODEL, export_of, exports
from worker.task import Finding


class _Export(SettingsCommand):
    """Shows the flags of the tasks that export; they are looked for when they are needed."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        flags = options_of(tool.settings for tool in exports().values())
        own = [click.Argument([MODEL], metavar="MODEL"), *(f for f in flags if f.name != MODEL)]
        self.params = [*own, TOKEN_OPTION, JSON]
        return super().get_params(ctx)


@click.command("export", cls=_Export, context_settings={"token_normalize_func": normalized})
def COMMAND(**values: Any) -> int:  # noqa: N802
    """Bring a trained model into the form that another program takes.

    MODEL is a Hub id, a folder, or a job that succeeded: its id or its project's name.
    """
    own = {option.name: values.pop(str(option.name)) for option in (TOKEN_OPTION, JSON)}
    desk = Desk(bool(own["json"]))
    work = export_of(desk, given(values))
    with desk.screen.waiting(f"Exporting {work.asked[MODEL]}"):
        done = work.do(desk)
    desk.screen.findings(Finding("ok", str(what), str(found)) for what, found in done.items())
    desk.screen.document(done)
    return 0
