"""The settings of a job as the fields of a form, read off the declarations that make the flags.

A few are usual: what is needed, the columns of the data, and what a plan always shows of its task.
All others are there, folded, in the groups that `--help` has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal, get_origin

import backends
from orchestrator.form.draft import Draft, spelled
from orchestrator.settings.autotrain import PLACES_NOT_YET
from orchestrator.settings.job import JobSettings
from worker.common import Data
from worker.errors import HubtrainError
from worker.params import Params, Setting, settings_of

Kind = Literal["switch", "choice", "number", "list", "text", "column", "columns"]

BASE = "model"
"""The setting that names the base model, of tasks that start from one."""

USUAL_OF_JOBS = ("project_name", "backend", "push_to_hub", "username", "max_cost", "max_duration")
"""What of any job is usual; the rest of `JobSettings` is folded."""


@dataclass(frozen=True, slots=True)
class Field:
    """One setting, as a form has it."""

    name: str
    kind: Kind
    meaning: str
    default: str
    """As people type it; empty where there is none."""

    said: Any
    """What the draft says of it."""

    is_said: bool
    choices: tuple[str, ...] = ()
    """Values that can be chosen, `none` among them where that is one."""

    bounds: str = ""
    required: bool = False
    flag: str = ""

    @property
    def label(self) -> str:
        """Its name as it stands above the field."""
        return self.name.replace("_", " ")

    @property
    def text(self) -> str:
        """What stands in the field; empty where the default is meant."""
        return spelled(self.said) if self.is_said else ""

    @property
    def on(self) -> bool:
        """Whether a switch is on."""
        return bool(self.said) if self.is_said else self.default == "on"


@dataclass(frozen=True, slots=True)
class Group:
    """Fields under a heading."""

    name: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """All fields of a job, in the parts in which it is written."""

    data: tuple[Field, ...]
    columns: tuple[Field, ...]
    model: tuple[Field, ...]
    """The base model; none for a task that starts from none."""

    few: tuple[Field, ...]
    """What decides most of what comes out."""

    job: tuple[Field, ...]
    """Where it runs, what it is called, and its limits."""

    more: tuple[Group, ...]
    """Everything else, folded."""


def form_of(said: Draft) -> Form:
    """Return the fields of a draft; settings that do nothing beside what it says are left out."""
    task = said.task
    shown, idle = usual(said)
    idle -= said.values.keys()  # what is said stays in sight, though nothing uses it
    own = {s.name: _field(s, said) for s in settings_of(task.params) if s.name not in idle}
    job = {s.name: _field(s, said) for s in settings_of(JobSettings)}
    taken = {*Data.model_fields, BASE, *shown} & own.keys()
    columns = [name for name in own if own[name].kind in {"column", "columns"}]
    needed = [name for name, one in own.items() if one.required and name not in taken]
    few = [name for name in dict.fromkeys([*needed, *shown]) if name in own]
    model = [BASE] if task.starts_from_model and BASE in own else []
    apart = {*Data.model_fields, *columns, *model, *few}
    left = [s for s in settings_of(task.params) if s.name in own and s.name not in apart]
    rest = [s for s in settings_of(JobSettings) if s.name not in USUAL_OF_JOBS]
    return Form(
        data=tuple(own[name] for name in Data.model_fields if name in own),
        columns=tuple(own[name] for name in columns),
        model=tuple(own[name] for name in model),
        few=tuple(own[name] for name in few if name not in {*Data.model_fields, *model, *columns}),
        job=tuple(job[name] for name in USUAL_OF_JOBS),
        more=tuple(_groups([*left, *rest, *_of_backends(said)], said)),
    )


def usual(said: Draft) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the settings that a plan always shows of such a job, and those that do nothing in it.

    Asked of the task's sample, which is a whole job whatever the draft still lacks.
    """
    params = sampled(said)
    if params is None:
        return (), frozenset()
    return tuple(said.task.shown(params)), frozenset(said.task.unused(params))


def sampled(said: Draft) -> Params | None:
    """Return the settings of the task's sample, with what the draft chooses and switches.

    None where there is no such sample.
    """
    known = {s.name: s for s in settings_of(said.task.params)}
    chosen = {k: v for k, v in said.values.items() if k in known and _is_choice(known[k], v)}
    way = {name: value for name, value in chosen.items() if name == "trainer"}
    for given in (chosen, way, {}):
        try:
            sample = said.task.sample(given)
            made: Params = said.task.params(**{**(sample.settings if sample else {}), **given})
        except (HubtrainError, ValueError):
            continue
        return made
    return None


def _is_choice(setting: Setting, value: object) -> bool:
    return isinstance(value, bool) if setting.type is bool else value in setting.choices


def _of_backends(said: Draft) -> Iterator[Setting]:
    """Yield the settings of the backend that is asked for, and those of others that are said."""
    where, asked = said.values.get("backend", JobSettings.model_fields["backend"].default), ""
    with suppress(HubtrainError):
        asked = backends.resolve(str(where), PLACES_NOT_YET).backend.name
    for name in backends.names():
        options = settings_of(backends.load(name).options)
        yield from (one for one in options if name == asked or one.name in said.values)


def _groups(settings: Iterable[Setting], said: Draft) -> Iterator[Group]:
    for name, group in groupby(settings, key=lambda one: one.group):
        yield Group(name, tuple(_field(one, said) for one in group))


def _field(setting: Setting, said: Draft) -> Field:
    there = setting.choices or (("none",) if setting.optional else ())
    absent = setting.required or setting.default is None
    return Field(
        name=setting.name,
        kind=_kind(setting),
        meaning=setting.help,
        default="" if absent else spelled(setting.default),
        said=said.values.get(setting.name),
        is_said=setting.name in said.values,
        choices=tuple(dict.fromkeys([*there, *(["none"] if setting.optional else [])]))
        if setting.choices
        else (),
        bounds=setting.bounds,
        required=setting.required,
        flag=setting.flags[0],
    )


def _kind(setting: Setting) -> Kind:
    if setting.type is bool:
        return "switch"
    if setting.choices:
        return "choice"
    if setting.name.endswith("_column"):
        return "column"
    if setting.name.endswith("_columns"):
        return "columns"
    if setting.type in {int, float}:
        return "number"
    return "list" if get_origin(setting.type) is tuple else "text"
