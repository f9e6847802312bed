"""What a job may be called: its name becomes repos, so the Hub's rules hold for it."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from backends.base import Backend
from orchestrator.preflight.report import Findings, Held
from orchestrator.preflight.request import CheckRequest
from orchestrator.words import already
from worker import disk
from worker.output import contents, settle

LONGEST = 96
"""Characters of a repo's name on the Hub."""

SUFFIX = 7
"""Characters of `-` and a job id, which follow the project's name where a job has a repo."""

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?")


def check_project(request: CheckRequest, backend: Backend[Any], findings: Findings) -> None:
    """Find whether the project's name can be used, and whether the model has a place to go."""
    if not allowed(request.project):
        findings.error(
            "project",
            f"{request.project!r} cannot be a project's name: letters, digits, '-', '_' and '.', at"
            f" most {LONGEST - SUFFIX}, no '--' or '..', a letter or digit at both ends.",
            f"--project-name {cleaned(request.project)}",
        )
    target = request.job.push_target(request.owner or "you")
    if target is None and not backend.keeps_disk:
        findings.error(
            "project",
            f"{backend.name} keeps no files after a job, so its {request.task.makes} has to go to"
            " the Hub.",
            "--push-to-hub",
        )
    if target is not None and request.job.repo_id and not is_repo_id(target.repo_id):
        findings.error("project", f"{target.repo_id!r} is no repo id.", "--repo-id OWNER/NAME")
    if target is None and request.job.repo_id and backend.keeps_disk:
        text = (
            f"--repo-id {request.job.repo_id} is not used: the {request.task.makes} is not pushed."
        )
        findings.warn("project", text, "--push-to-hub")


def check_output(
    folder: Path, overwrite: bool, continued: Collection[str], findings: Findings
) -> None:
    """Find whether the model can go into `folder`: absent, empty, or to be written over.

    What the jobs left there whose training is `continued` is theirs to replace.
    """
    settle(folder)
    try:
        there = contents(folder)
    except NotADirectoryError:
        findings.error(
            "project",
            f"{folder} is a file, and the model is a folder.",
            f"--project-name {cleaned(f'{folder.name}-model')}",
        )
        return
    except OSError as error:
        findings.error("project", *disk.refused(error))
        return
    if there is not None and not overwrite and there.job_id not in continued:
        findings.held.append(Held(already(str(folder), there.names), there.job_id))
    if not os.access(folder.parent, os.W_OK):
        findings.error("project", f"{folder.parent} may not be written by you.", "cd elsewhere")


def allowed(name: str) -> bool:
    """Whether the Hub takes `name` followed by `-` and a job id."""
    return (
        bool(_NAME.fullmatch(name))
        and not re.search(r"--|\.\.|\.git$|\.ipynb$", name)
        and len(name) <= LONGEST - SUFFIX
    )


def cleaned(name: str) -> str:
    """Return the allowed name that is nearest to `name`."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", name)
    single = re.sub(r"-{2,}", "-", re.sub(r"\.{2,}", ".", plain))
    bare = re.sub(r"\.(git|ipynb)$", "", single.strip("-._"))
    return bare[: LONGEST - SUFFIX].strip("-._") or "my-model"


def is_repo_id(text: str) -> bool:
    """Whether the Hub takes `text` as OWNER/NAME."""
    if re.search(r"--|\.\.|\.git$|\.ipynb$", text):
        return False
    owner, slash, name = text.partition("/")
    return bool(slash and _NAME.fullmatch(owner) and _NAME.fullmatch(name)) and len(name) <= LONGEST
