"""What no machine of the Hub can do, and what to say of one that a token is not shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from backends.errors import BackendError, JobGone, PlanRefused
from backends.handle import Handle
from worker.account import who
from worker.clock import Clock
from worker.contract import JobSpec
from worker.errors import NotThere, NoWrite
from worker.hubclient import explained
from worker.paths import is_path

if TYPE_CHECKING:
    from huggingface_hub import HfApi

T = TypeVar("T")

REPO_NAME = re.compile(r"(?!.*(--|\.\.))[A-Za-z0-9][\w.-]{0,94}[A-Za-z0-9]")
"""What the Hub takes for the name of a repo."""


def refuse_what_cannot_be(job: JobSpec, noun: str, example: str) -> None:
    """Raise `PlanRefused` for what no `noun` can do; `example` is a `--backend` with a machine."""
    name = f"{job.project}-{job.job_id}"
    if job.machine.flavor is None:
        raise PlanRefused(
            f"A {noun} needs a machine to run on.",
            fix=f"Name one, as in --backend {example}; `hubtrain backends` lists them.",
        )
    if job.owner is None:
        raise PlanRefused(f"A {noun} belongs to an account.", fix="Give a token, or --username.")
    if job.push is None:
        raise PlanRefused(
            f"A {noun} forgets its disk when it stops, so the model has to go somewhere.",
            fix="Add --push-to-hub.",
        )
    if job.data.folder is not None:
        raise PlanRefused(
            f"A {noun} cannot see the folder {job.data.folder}: data goes by the Hub."
        )
    if job.model and is_path(job.model.name):
        raise PlanRefused(f"A {noun} cannot see {job.model.name}: push the model to the Hub first.")
    if not REPO_NAME.fullmatch(name):
        raise PlanRefused(
            f"{name!r} cannot be the name of a repo: letters, digits, '-', '_' and '.', at most"
            " 96, beginning and ending with a letter or digit.",
            fix="Choose another --project-name.",
        )


def shown(handle: Handle, ask: Callable[[], T]) -> T:
    """Return what the Hub shows of a machine. Raises `NotThere` once it has said so twice.

    One such answer may be that of something between, and would end a job that runs.
    """
    for _ in range(2):
        try:
            with explained(f"asking about {handle}"):
                return ask()
        except NotThere as error:
            gone = error
    raise gone


def absent(handle: Handle, gone: str, api: HfApi, clock: Clock) -> BackendError | NoWrite:
    """Tell what is `gone`, in these words, from what this token cannot see."""
    owner = handle.path.partition("/")[0]
    if not api.token:
        return NoWrite(
            f"{handle} can only be seen with a token of {owner}.",
            fix="Set HF_TOKEN, or `hf auth login`.",
        )
    account = who(api, clock)
    if owner not in account.namespaces:
        return NoWrite(
            f"{account.name} is not {owner}, and cannot see {handle}.",
            fix=f"Use a token of {owner}.",
        )
    return JobGone(gone)
