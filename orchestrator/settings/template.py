"""A job's file for people to begin with: what it says, and all else that could be said.

Made from the declarations of the settings, so that it always has all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from textwrap import wrap
from typing import Any

import yaml

from orchestrator.settings.job import JobSettings
from worker.params import Params, Setting, settings_of
from worker.task import Sample, Task

JOB_FILE = "job.yml"

HEAD = """\
# {help}
#
#   hubtrain --config {file} --dry-run     checks the job, and says what it takes
#   hubtrain --config {file}               trains
#
# Lines that begin with a name are what this job says. Those that begin with # and a name are what
# else can be set, as it is where nobody says: take the # away, and write another value.

task: {name}
"""

_WIDTH = 100


def template(name: str, task: Task[Any], given: Mapping[str, Any], sample: Sample) -> str:
    """Return the file of a job called by this `name`, with the settings that come with it `given`.

    Settings that do nothing beside those of the sample are left out, and so is one called `task`:
    in a file that is the job's name, with which it comes.
    """
    said = {"project_name": f"my-{name.replace(':', '-').replace('_', '-')}", "backend": "local"}
    said |= sample.settings
    idle = {"task", *given, *task.unused(task.params(**{**given, **sample.settings}))}
    parts = [HEAD.format(help=task.help, file=JOB_FILE, name=name)]
    for params in (JobSettings, task.params):
        parts += _groups(params, said, idle)
    return "\n".join(parts)


def _groups(params: type[Params], said: Mapping[str, Any], idle: set[str]) -> Iterator[str]:
    for group, settings in groupby(settings_of(params), key=lambda one: one.group):
        wanted = [one for one in settings if one.name not in idle]
        if wanted:
            yield f"\n# {group}\n# {'-' * len(group)}\n"
        for setting in wanted:
            yield from _lines(setting, said)


def _lines(setting: Setting, said: Mapping[str, Any]) -> Iterator[str]:
    choices = f" One of {', '.join(setting.choices)}." if setting.choices else ""
    yield from wrap(setting.help + choices, _WIDTH, initial_indent="# ", subsequent_indent="# ")
    if setting.name in said:
        yield f"{setting.name}: {_value(said[setting.name])}\n"
    else:
        yield (
            f"#{setting.name}: {'' if setting.required else _value(setting.default)}".rstrip()
            + "\n"
        )


def _value(value: Any) -> str:
    """Return a value as YAML has it, in a line."""
    plain = list(value) if isinstance(value, tuple) else value
    text: str = yaml.safe_dump(plain, default_flow_style=True, width=10**9, allow_unicode=True)
    return text.removesuffix("...\n").strip()
