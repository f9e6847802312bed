"""What the flow says for the command line, said for Python: `--overwrite` is `overwrite=True`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from worker.errors import BadConfig, HubtrainError
from worker.params import Setting, settings_of

if TYPE_CHECKING:
    from orchestrator.deploy import DeployCheck
    from orchestrator.preflight.report import CheckReport

Report = TypeVar("Report", "CheckReport", "DeployCheck")

_FLAG = re.compile(r"(?<![\w-])--([a-z][a-z0-9_-]*[a-z0-9])(?: (?!-)([^\s,;]*[^\s,;.:]))?")
_PROSE = {"alone", "ends", "if", "is", "names", "needs", "or", "out", "takes", "trains", "with"}
"""Words that follow a flag and are not its value."""


def as_arguments(report: Report) -> Report:
    """Return a report whose findings name settings, and say what to do, as Python does."""
    said = (replace(f, text=text(f.text), fix=fix(f.fix)) for f in report.findings)
    return replace(report, findings=tuple(said))


def typed(value: object, kind: type | tuple[type, ...], name: str, example: str) -> None:
    """Raise `BadConfig` where an argument is given and is nothing of `kind`, with one that is."""
    if value is not None and not isinstance(value, kind):
        said = f"{name} is to be like {example}, and not {value!r:.80} ({type(value).__name__})."
        raise BadConfig(said)


@contextmanager
def in_arguments() -> Iterator[None]:
    """Let errors say what to do as Python does."""
    from hubtrain._errors import CheckFailed

    try:
        yield
    except CheckFailed:  # made of a report that does already
        raise
    except HubtrainError as error:
        error.message, error.fix = text(error.message), fix(error.fix)
        raise


def text(said: str) -> str:
    """Return a sentence with the names of arguments where it names flags."""
    return _FLAG.sub(_named, said)


def fix(said: str) -> str:
    """Return what to do next with arguments and their values where it has flags."""
    return _FLAG.sub(_given, said).replace("the same command", "the same call")


def _named(found: re.Match[str]) -> str:
    setting, _ = _meant(found[1])
    return found[0].replace(f"--{found[1]}", setting.name, 1) if setting else found[0]


def _given(found: re.Match[str]) -> str:
    (setting, on), value = _meant(found[1]), found[2]
    behind = f" {value}" if value else ""
    if setting is None:
        return found[0]
    if setting.type is bool:
        return f"{setting.name}={on}{behind}"
    if not value or value in _PROSE:
        return setting.name + behind
    number = re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", value)
    return f"{setting.name}={value}" if number else f'{setting.name}="{value}"'


def _meant(flag: str) -> tuple[Setting | None, bool]:
    """Return the setting a flag means and whether it switches it on; none of other programs'."""
    known, name = _settings(), flag.replace("_", "-")
    if name in known:
        return known[name], True
    return known.get(name.removeprefix("no-")), False


@cache
def _settings() -> dict[str, Setting]:
    import worker.tasks
    from orchestrator.settings.gather import classes_of
    from orchestrator.tools import exports

    classes = [c for name in worker.tasks.names() for c in classes_of(worker.tasks.load(name))]
    classes += [tool.settings for tool in exports().values()]
    return {
        flag.removeprefix("--"): setting
        for one in classes
        for setting in settings_of(one)
        for flag in setting.flags
        if flag.startswith("--")
    }
