"""The merged settings of a job, each with where it was said: what `hubtrain config` prints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import backends
from orchestrator.settings.autotrain import PLACES_NOT_YET
from orchestrator.settings.job import JobSettings
from orchestrator.settings.layers import ENVIRONMENT, FLAGS, Settings
from worker.errors import BadConfig, HubtrainError
from worker.params import Params, Setting, settings_of
from worker.task import Task

DEFAULT = "default"
"""Where a value comes from that nobody gave."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting as a job would use it."""

    group: str
    name: str
    value: Any
    source: str
    """`flags`, `environment`, the file's name, or `default`."""

    line: int | None
    """The line of the file."""

    flag: str
    env: str

    @property
    def place(self) -> str:
        """Where it was said, as people read it."""
        if self.source == FLAGS:
            return self.flag
        if self.source == ENVIRONMENT:
            return self.env
        return f"{self.source}:{self.line}" if self.line else self.source


def shown(task: Task[Any], settings: Settings) -> tuple[list[Shown], list[str]]:
    """Return all settings of a job in the order of the help, and what is wrong with them."""
    wrong: list[str] = []
    found: list[Shown] = []
    groups: list[type[Params]] = [JobSettings, task.params, *_options(settings, wrong)]
    for params in groups:
        part: Params | None = None
        try:
            part = settings.of(params)
        except BadConfig as error:
            wrong += error.message.splitlines()
        found += _of(params, part, settings)
    return found, wrong


def _options(settings: Settings, wrong: list[str]) -> Iterator[type[Params]]:
    """Yield the settings of the backend that is asked for."""
    where = settings.values.get("backend", JobSettings.model_fields["backend"].default)
    try:
        yield backends.resolve(str(where), PLACES_NOT_YET).backend.options
    except HubtrainError as error:
        wrong.append(str(error))


def _of(params: type[Params], part: Params | None, settings: Settings) -> Iterator[Shown]:
    origins = settings.origins_of(params)
    for one in settings_of(params):
        value = getattr(part, one.name) if part else settings.values.get(one.name, _default(one))
        source = origins.get(one.name, DEFAULT)
        line = settings.lines.get(one.name)
        yield Shown(one.group, one.name, value, source, line, one.flags[0], one.env)


def _default(setting: Setting) -> Any:
    return None if setting.required else setting.default
