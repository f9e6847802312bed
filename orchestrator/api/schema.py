"""The settings of a task as JSON schema, read off their declarations."""

from __future__ import annotations

from typing import Any

import backends
import worker.tasks
from orchestrator.document import Document, schema_of
from orchestrator.settings.gather import task_of
from orchestrator.settings.job import JobSettings
from worker.errors import BadConfig
from worker.params import Params, settings_of
from worker.shorten import some


class TaskSettings(Document):
    """All settings of a task's jobs."""

    task: str
    help: str
    given: dict[str, Any]
    """The settings that go with the name that was asked for."""

    groups: dict[str, list[str]]
    """The settings by what they are about."""

    json_schema: dict[str, Any]
    """JSON schema of `settings` in `check` and `train`."""


def settings_schema(name: str, group: str | None = None) -> TaskSettings:
    """Return the settings of a task, or those of one group. Raises `BadConfig`."""
    task, given = task_of(name, "the task")
    options = (backends.load(one).options for one in backends.names())
    classes: tuple[type[Params], ...] = (task.params, JobSettings, *options)
    groups: dict[str, list[str]] = {}
    for setting in (s for one in classes for s in settings_of(one)):
        if setting.name not in groups.setdefault(setting.group, []):
            groups[setting.group].append(setting.name)
    if group is not None and group not in groups:
        raise BadConfig(f"{name} has no group {group!r}; there are: {some(groups)}.")
    wanted = groups[group] if group is not None else None
    return TaskSettings(
        task=worker.tasks.typed(task.name),
        help=task.help,
        given=dict(given),
        groups=groups,
        json_schema=_schema(classes, wanted),
    )


def _schema(classes: tuple[type[Params], ...], wanted: list[str] | None) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    parts: dict[str, Any] = {}
    for one in classes:
        schema = schema_of(one)
        parts |= schema.get("$defs", {})
        for name, described in schema.get("properties", {}).items():
            properties.setdefault(name, described)
    needed = [s.name for one in classes for s in settings_of(one) if s.required]
    kept = properties if wanted is None else {name: properties[name] for name in wanted}
    found = {"type": "object", "properties": kept, "additionalProperties": False}
    return found | {"required": needed} | ({"$defs": parts} if parts else {})
