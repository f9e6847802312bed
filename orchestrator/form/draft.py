"""What is said of a job so far: a task, and settings by name, each as plain data.

Only what somebody said is there; all else is as by default, so that a file or a command made of it
is as short as one that a person writes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, get_origin

import backends
from orchestrator.settings.gather import classes_of, gather, whose
from orchestrator.settings.job import JobSettings
from orchestrator.settings.layers import ARGUMENTS, Catalog, Layer, Settings
from worker import secret_variables
from worker.errors import HubtrainError
from worker.params import Params, Setting, settings_of
from worker.task import Task

_WHOLE, _NUMBER = re.compile(r"[+-]?\d+"), re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.I)
_ON_OFF = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}


@dataclass(frozen=True)
class Draft:
    """A job as it is written so far."""

    task: Task[Any]
    values: Mapping[str, Any] = field(default_factory=dict)
    """What is said, by the setting's own name: text, numbers, on and off, lists, none."""

    notes: tuple[str, ...] = ()
    """What was said and was not taken, a sentence each."""

    @property
    def catalog(self) -> Catalog:
        """All settings that there are for it."""
        return catalog_of(self.task)

    def settings(
        self, accounts: Callable[[], list[str]] = list, environ: Mapping[str, str] | None = None
    ) -> Settings:
        """Return the settings, those that nobody said from `environ`. Raises `BadConfig`."""
        return gather(
            self.task, None, self.values, accounts, source=ARGUMENTS, environ=environ or {}
        )

    def having(self, **changes: Any) -> Draft:
        """Return it with some settings said otherwise."""
        return replace(self, values={**self.values, **changes})


def training_classes(task: Task[Any]) -> list[type[Params]]:
    """Return the groups of settings that say how and where a task trains, on any backend."""
    options = [backends.load(name).options for name in backends.names()]
    return [JobSettings, task.params, *options]


def catalog_of(task: Task[Any]) -> Catalog:
    """Return all settings of a task's jobs."""
    return Catalog(classes_of(task), task.ignored, whose)


def draft(
    task: Task[Any],
    said: Mapping[str, Any],
    notes: tuple[str, ...] = (),
    *,
    source: str = ARGUMENTS,
) -> Draft:
    """Return what is said of a job, under whatever names and in whatever spelling it was said.

    Raises `BadConfig` that names all keys of the `source` that mean nothing. Values are only read,
    not judged.
    """
    catalog = catalog_of(task)
    named = catalog.named(Layer(source, said))
    trains = {s.name for c in training_classes(task) for s in settings_of(c)}
    values, told = {}, [*notes, *catalog.notes(named)]
    for name, value in named.values.items():
        setting = catalog.settings[name]
        if name in task.ignored.model_fields:
            continue
        if name not in trains:
            told.append(f"{name} was left out: it says nothing of a training")
            continue
        kept, lost = _names_alone(setting, value) if setting.secret_pairs else (value, [])
        values[name], told = plain(setting, kept), [*told, *lost]
    return Draft(task, values, tuple(told))


def _names_alone(setting: Setting, value: Any) -> tuple[Any, list[str]]:
    """Return the names of secrets whose values may have been given, and that these were dropped."""
    try:
        pairs = secret_variables.pairs(value)
    except ValueError:
        return value, []
    lost = [name for name, secret in pairs.items() if secret is not None]
    note = f"{setting.name}: a form holds no secrets. Set {', '.join(lost)} where the app runs."
    return list(pairs), [note] if lost else []


def plain(setting: Setting, value: Any) -> Any:
    """Return a value as plain data of the setting's type; as it is where it is nothing of it."""
    if isinstance(value, tuple | list):
        return list(value)
    if not isinstance(value, str) or setting.type is str:
        return value
    if get_origin(setting.type) is tuple:
        return [part.strip() for part in value.split(",") if part.strip()]
    return _typed(setting.type, value.strip().lower(), value)


def _typed(kind: Any, text: str, otherwise: Any) -> Any:
    """Return a text as on or off, or as a number; `otherwise` where it is neither."""
    if kind is bool:
        return _ON_OFF.get(text, otherwise)
    if kind in {int, float} and _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if kind is float and _NUMBER.fullmatch(text) else otherwise


def spelled(value: Any) -> str:
    """Return a value as people type it into a field."""
    match value:
        case None:
            return "none"
        case bool():
            return "on" if value else "off"
        case list() | tuple():
            return ",".join(map(spelled, value))
        case float():
            return f"{value:g}" if float(f"{value:g}") == value else repr(value)
        case _:
            return str(value)


def words_of(error: HubtrainError) -> str:
    """Return what went wrong, with what to do next behind it."""
    return f"{error.message} {error.fix}".strip()
