"""Writes `docs/settings.md`: `python -m orchestrator.settings.reference > docs/settings.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import groupby

import backends
import worker.tasks
from orchestrator.settings.deploy import DeploySettings
from orchestrator.settings.job import JobSettings
from orchestrator.settings.sweep import SweepSettings
from worker.common import AskingMany
from worker.params import Params, Setting, settings_of

HEAD = """# Settings

Every setting is declared once, in a params class; this page is written from there by
`python -m orchestrator.settings.reference`. The name is the key in a YAML file. Flags take
dashes or underscores, every on/off setting has a `--no-` form, and each setting can also be given
as the environment variable `HUBTRAIN_<NAME>`. Flags win over the environment, the environment over
the file, the file over the defaults.
"""


def page() -> str:
    """Return the page as Markdown."""
    parts = [HEAD, *_section("Every job", JobSettings), *_section("Deployments", DeploySettings)]
    parts += _section("`hubtrain sweep`, in a file in its block `sweep`", SweepSettings)
    parts += _section("`--inference` with files of rows", AskingMany)
    for name in backends.names():
        options = backends.load(name).options
        if settings_of(options):
            parts += _section(f"Backend `{name}`", options)
    for name in worker.tasks.names():
        task = worker.tasks.load(name)
        parts += _section(f"`hubtrain {name.replace('_', '-')}`", task.params)
        if task.question:
            parts += _groups(task.question)
    return "\n".join(parts)


def _section(title: str, params: type[Params]) -> Iterator[str]:
    yield f"## {title}\n"
    yield from _groups(params)


def _groups(params: type[Params]) -> Iterator[str]:
    for group, settings in groupby(settings_of(params), key=lambda s: s.group):
        yield f"### {group}\n"
        yield "| name | flags | default | meaning |\n|---|---|---|---|"
        yield from map(_row, settings)
        yield ""


def _row(setting: Setting) -> str:
    flags = ", ".join(f"`{flag}`" for flag in (*setting.flags, *setting.off))
    default = "needed" if setting.required else f"`{_shown(setting)}`"
    choices = f" One of {', '.join(setting.choices)}." if setting.choices else ""
    return f"| `{setting.name}` | {flags} | {default} | {setting.help}{choices} |"


def _shown(setting: Setting) -> str:
    plain = {None: "none", True: "on", False: "off"} if setting.type is bool else {None: "none"}
    return str(plain.get(setting.default, setting.default))


if __name__ == "__main__":
    sys.stdout.write(page())
