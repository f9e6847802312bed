"""`hubtrain export`: a trained model in the form that another program takes, as its task says."""

from __future__ import annotations

from typing import Any

import click

import worker.tasks
from orchestrator.aside import aside, environ_of
from orchestrator.settings.layers import FLAGS, Catalog, Layer, merge
from orchestrator.terminal.command import JSON, TOKEN_OPTION
from orchestrator.terminal.commands.tools import SECONDS
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.flags import SettingsCommand, given, normalized, options_of
from worker.errors import BadConfig, HubtrainError
from worker.task import Finding, Tool

MODEL = "model"


class _Export(SettingsCommand):
    """Shows the flags of the tasks that export; they are looked for when they are needed."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        flags = options_of(tool.settings for tool in _exports().values())
        own = [click.Argument([MODEL], metavar="MODEL"), *(f for f in flags if f.name != MODEL)]
        self.params = [*own, TOKEN_OPTION, JSON]
        return super().get_params(ctx)


@click.command("export", cls=_Export, context_settings={"token_normalize_func": normalized})
def COMMAND(**values: Any) -> int:  # noqa: N802
    """Bring a trained model into the form that another program takes.

    MODEL is a Hub id, a folder, or a job that succeeded: its id or its project's name.
    """
    own = {option.name: values.pop(str(option.name)) for option in (TOKEN_OPTION, JSON)}
    return _export(Desk(bool(own["json"])), given(values))


def _exports() -> dict[str, Tool]:
    """Return what exports models, by the task that does."""
    tasks = (worker.tasks.load(name) for name in worker.tasks.names())
    return {task.name: task.export for task in tasks if task.export}


def _export(desk: Desk, flags: dict[str, Any]) -> int:
    """Export where the user stands, and say what came of it."""
    exports = _exports()
    model, task = _trained(desk, str(flags[MODEL])) or (flags[MODEL], next(iter(exports)))
    if task not in exports:
        raise BadConfig(f"models of {worker.tasks.typed(task)} are not exported.")
    tool = exports[task]
    settings = merge(Catalog((tool.settings,)), [Layer(FLAGS, {**flags, MODEL: model})])
    asked = settings.of(tool.settings).model_dump(mode="json")
    with desk.screen.waiting(f"Exporting {model}"):
        done = aside(("worker.tool", task, tool.name), asked, environ_of(desk.token), SECONDS)
    desk.screen.findings(Finding("ok", str(what), str(found)) for what, found in done.items())
    desk.screen.document(done)
    return 0


def _trained(desk: Desk, name: str) -> tuple[str, str] | None:
    """Return the model of a job of that name and the job's task; none where no job is called so.

    Raises `HubtrainError` for a job without a model.
    """
    if "/" in name or name.startswith((".", "~")):
        return None
    try:
        record = desk.record(name)
    except BadConfig:
        return None
    story = record.story
    model = story.pushed.repo_id if story.pushed else story.output
    if not model:
        raise HubtrainError(
            f"{record.job_id} has left no model: it is {story.state}.",
            fix=f"hubtrain status {record.job_id}",
        )
    return model, record.spec.task
