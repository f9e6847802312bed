"""What is done with models beside training, on this machine: tools of tasks, and exports.

Values in, values out, as in `orchestrator.flow`: nothing here prints or asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import worker.tasks
from orchestrator.jobs.client import Client
from orchestrator.settings.layers import FLAGS, Catalog, Layer, merge
from orchestrator.subprocess_call import call_in_subprocess, environ_of
from worker.errors import BadConfig
from worker.task import Tool

SECONDS = 6 * 3600.0
"""Longest time a tool may take: a large model may have to be fetched and sent."""

MODEL = "model"
"""Setting of a tool that takes any trained model: a Hub id, a folder, or the job that made it."""


@dataclass(frozen=True)
class Work:
    """A tool of a task with its settings, read and validated."""

    task: str
    tool: Tool
    asked: Mapping[str, Any]

    def do(self, client: Client) -> dict[str, Any]:
        """Return what came of it, once it is done. Raises `HubtrainError`."""
        words = ("worker.tool", self.task, self.tool.name)
        done: dict[str, Any] = call_in_subprocess(
            words, self.asked, environ_of(client.token), SECONDS
        )
        return done


def tools() -> list[tuple[str, Tool]]:
    """Return the tools that there are, each with its task."""
    names = worker.tasks.names()
    return [(name, tool) for name in names for tool in worker.tasks.load(name).tools]


def exports() -> dict[str, Tool]:
    """Return what exports models, by the task that does."""
    tasks = (worker.tasks.load(name) for name in worker.tasks.names())
    return {task.name: task.export for task in tasks if task.export}


def work_of(
    client: Client, task: str, tool: Tool, given: Mapping[str, Any], source: str = FLAGS
) -> Work:
    """Return a tool with its settings. Raises `BadConfig`, also for a model of another task."""
    if MODEL in given and MODEL in tool.settings.model_fields:
        model, made_by = _model(client, str(given[MODEL]))
        given = {**given, MODEL: model}
        if made_by not in {"", task}:
            own, other = worker.tasks.typed(task), worker.tasks.typed(made_by)
            raise BadConfig(f"{tool.name} is for models of {own}, and {model} is one of {other}.")
    return _settled(task, tool, given, source)


def export_of(client: Client, given: Mapping[str, Any], source: str = FLAGS) -> Work:
    """Return the export of a model by its task. Raises `BadConfig` where there is none."""
    known = exports()
    model, made_by = _model(client, str(given[MODEL]))
    task = made_by or next(iter(known))
    if task not in known:
        raise BadConfig(f"models of {worker.tasks.typed(task)} are not exported.")
    return _settled(task, known[task], {**given, MODEL: model}, source)


def _settled(task: str, tool: Tool, given: Mapping[str, Any], source: str) -> Work:
    settings = merge(Catalog((tool.settings,)), [Layer(source, given)])
    return Work(task, tool, settings.of(tool.settings).model_dump(mode="json"))


def _model(client: Client, name: str) -> tuple[str, str]:
    """Return a model, and the task of the job that made it: empty where no job is called so.

    Raises `BadConfig` for a job without a model.
    """
    if "/" in name or name.startswith((".", "~")):
        return name, ""
    try:
        record = client.record(name)
    except BadConfig:
        return name, ""
    story = record.story
    model = story.pushed.repo_id if story.pushed else story.output
    if not model:
        raise BadConfig(
            f"{record.job_id} has left no model: it is {story.state}.",
            fix=f"hubtrain status {record.job_id}",
        )
    return model, record.spec.task
