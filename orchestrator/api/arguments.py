"""What the flow says for the command line, said for programs: `--overwrite` is `overwrite=True`.

So read whoever gives settings by their names: the Python API, HTTP and assistants.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from orchestrator.deploy import DeployCheck
    from orchestrator.mentions import Mention
    from orchestrator.preflight.report import CheckReport

Report = TypeVar("Report", "CheckReport", "DeployCheck")


def as_arguments(report: Report) -> Report:
    """Return a report whose findings name settings, and say what to do, as Python does."""
    said = (replace(f, text=text(f.text), fix=fix(f.fix)) for f in report.findings)
    return replace(report, findings=tuple(said))


def text(said: str) -> str:
    """Return a sentence with the names of arguments where it names flags."""
    from orchestrator.mentions import respelled

    return respelled(said, lambda one: f"{one.setting.name}{one.after}")


def fix(said: str) -> str:
    """Return what to do next with arguments and their values where it has flags."""
    from orchestrator.mentions import respelled

    return respelled(said, _given).replace("the same command", "the same call")


def _given(one: Mention) -> str:
    name, value = one.setting.name, one.value
    if one.setting.type is bool:
        return f"{name}={one.on}{one.after}"
    if not value:
        return name + one.after
    number = re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", value)
    return f"{name}={value}" if number else f'{name}="{value}"'
