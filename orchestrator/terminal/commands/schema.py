"""`hubtrain schema`: what a command prints with `--json`, and what a task takes, as JSON schema."""

from __future__ import annotations

import json

import click

from orchestrator.terminal.desk import Desk
from worker.errors import BadConfig
from worker.nearest import hint, nearest


@click.command("schema")
@click.argument("name", metavar="COMMAND|TASK")
@click.option(
    "--settings", is_flag=True, help="Of a task: its settings, instead of what it prints."
)
def COMMAND(name: str, settings: bool) -> int:  # noqa: N802
    """Print the JSON schema of a command's --json.

    With --settings that of a task's settings, as files and programs give them. A command that could
    not do what was asked prints a Failure, which is part of each schema.
    """
    schema = _of_settings(name) if settings else _of_command(name)
    Desk().screen.plain(json.dumps(schema, indent=2, ensure_ascii=False))
    return 0


def _of_settings(name: str) -> object:
    from orchestrator.api.schema import settings_schema

    return settings_schema(name).json_schema


def _of_command(name: str) -> object:
    from orchestrator.api.printed import PRINTED, TASK, document_of
    from orchestrator.document import schema_of
    from orchestrator.settings.gather import task_of

    known = {one.command for one in PRINTED}
    if name not in known:
        try:
            task_of(name)
        except BadConfig as error:
            guess = hint(nearest(name, known))
            raise BadConfig(
                f"no command {name!r} prints JSON.{guess}",
                fix=f"there are {', '.join(sorted(known))}",
            ) from error
    return schema_of(document_of(name if name in known else TASK))
