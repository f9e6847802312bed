"""What went wrong, as data: what, where, how to mend it, and the exit code. One home for all.

A message of ours has a line for each thing that is wrong, and an indented line goes on with the
one before. Which setting or column a line is about is read off its words and its fix: they name it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import worker.errors
from orchestrator.api.arguments import as_arguments, fix, text
from orchestrator.document import Document
from orchestrator.exits import MENDABLE, exit_code
from orchestrator.mentions import settings_by_flag
from orchestrator.preflight.report import CheckReport
from worker.contract import EndReason
from worker.errors import BadConfig, HubtrainError
from worker.finding import Finding, why_refused, wrong_of

if TYPE_CHECKING:
    from orchestrator.deploy import DeployCheck

_FIELD = re.compile(r"(?:no )?field '([^']+)'")
_COLUMN = re.compile(r'no column "([^"]+)"')
_UNKNOWN = re.compile(r"no (?:setting|option) '?(?:--)?([\w-]+)")
_WORD = re.compile(r"(?<![\w/.-])(?:--)?([A-Za-z][\w-]*)")


class Problem(Document):
    """One thing that is wrong."""

    what: str
    """It, in a sentence."""

    where: str | None = None
    """The setting by its name, or the column; none where it is about neither."""

    topic: str | None = None
    """The part of the check that found it: `data`, `model`, `price`; none for what no check found.
    """

    fix: str = ""
    """What to do or to type next; empty where nothing is known to help."""


class Failure(Document):
    """What a command, or a call, that did not do what was asked prints instead of its document."""

    error: str
    """All that is wrong, a line each; a line that is indented goes on with the one before."""

    fix: str = ""
    """What to do or to type next; empty where nothing is known to help."""

    exit_code: int
    """2: there is something to mend, and nothing was created. 1: it was tried and failed."""

    reason: EndReason | None = None
    """The word for it with which a job would end; none for a mistake of hubtrain's own."""

    kind: str = "HubtrainError"
    """The class of the Python API's that stands for it."""

    problems: tuple[Problem, ...] = ()
    """The same, one by one."""

    report: dict[str, Any] | None = None
    """All that the check found, where it was the check of a job that refused."""

    findings: list[Finding] | None = None
    """The same of a deployment."""


class CheckRefused(BadConfig):
    """The check before a job found something to mend; nothing was created."""

    def __init__(self, report: CheckReport) -> None:
        super().__init__(why_refused(report.findings))
        self.report = report


class DeploymentRefused(BadConfig):
    """The check before a deployment found something to mend; nothing was created."""

    def __init__(self, found: DeployCheck) -> None:
        super().__init__(why_refused(found.findings))
        self.found = found


def failure(error: HubtrainError, *, arguments: bool = True) -> Failure:
    """Return an error as data; with `arguments` in the words of those who give settings by name."""
    if isinstance(error, CheckRefused):
        return refusal(error.report, arguments=arguments)
    if isinstance(error, DeploymentRefused):
        return refused_deployment(error.found)
    said = (text(error.message), fix(error.fix)) if arguments else (error.message, error.fix)
    return told(*said, exit_code(error.reason), reason=error.reason, kind=_kind(error))


def refusal(report: CheckReport, *, arguments: bool = False) -> Failure:
    """Return what keeps a job from being submitted."""
    said = as_arguments(report) if arguments else report
    return of_findings(said.findings).model_copy(update={"report": said.to_json()})


def refused_deployment(found: DeployCheck) -> Failure:
    """Return what keeps a deployment from being made."""
    return of_findings(found.findings).model_copy(update={"findings": list(found.findings)})


def of_findings(findings: Iterable[Finding]) -> Failure:
    """Return what a check found to be wrong."""
    wrong = wrong_of(findings)
    return Failure(
        error="\n".join(f"{f.topic}: {f.text}" for f in wrong),
        fix="\n".join(f.fix for f in wrong if f.fix),
        exit_code=MENDABLE,
        reason=EndReason.BAD_CONFIG,
        kind="CheckFailed",
        problems=tuple(
            Problem(what=f.text, where=_where(f.text, f.fix), topic=f.topic, fix=f.fix)
            for f in wrong
        ),
    )


def told(
    message: str,
    help_: str,
    code: int,
    *,
    reason: EndReason | None = None,
    kind: str = HubtrainError.__name__,
) -> Failure:
    """Return what is said of something that went wrong."""
    problems = tuple(_problems(message, help_))
    return Failure(
        error=message, fix=help_, exit_code=code, reason=reason, kind=kind, problems=problems
    )


def _kind(error: HubtrainError) -> str:
    """Return the nearest of the classes that the Python API shows."""
    return next(c.__name__ for c in type(error).__mro__ if c.__module__ == worker.errors.__name__)


def _problems(message: str, help_: str) -> Iterator[Problem]:
    """Yield what a message says is wrong; the fix belongs to the last of it."""
    lines: list[str] = []
    for line in message.split("\n"):
        if line.startswith(" ") and lines:
            lines[-1] += f"\n{line}"
        else:
            lines.append(line)
    for n, line in enumerate(lines, 1):
        mends = help_ if n == len(lines) else ""
        yield Problem(what=line, where=_where(line, mends), fix=mends)


def _where(what: str, help_: str) -> str | None:
    """Return the setting or column that a sentence, or else its fix, is about."""
    if found := _FIELD.match(what) or _COLUMN.search(what):
        return found[1]
    if unknown := _UNKNOWN.search(what):
        return unknown[1].replace("-", "_")
    return _setting(what, alone=False) or _setting(help_, alone=True)


def _setting(said: str, *, alone: bool) -> str | None:
    """Return the first setting that is named in a text: as a flag, `name=`, a variable, or first.

    Names of settings are words like `model`, so that a word by itself counts only where a complaint
    about a value begins with it, behind the name of its file; with `alone` it never does.
    """
    known = settings_by_flag()
    first = said if alone else said.partition("\n")[0]
    for found in _WORD.finditer(first):
        word = found[1].removeprefix("HUBTRAIN_") if found[1].isupper() else found[1]
        setting = known.get(word.lower().replace("_", "-"))
        if setting is None:
            continue
        flag, given = found[0].startswith("--"), first[found.end() :].startswith("=")
        if flag or given or (not alone and _begins(first[: found.start()])):
            return setting.name
    return None


def _begins(before: str) -> bool:
    """Whether nothing but the name of a file stands before."""
    return not before or bool(re.fullmatch(r"\S+: |HUBTRAIN_", before))
