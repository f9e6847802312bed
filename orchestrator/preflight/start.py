"""The checkpoint that a job is to go on from: is it there, is it whole, does the machine see it?"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

from backends.base import Backend
from orchestrator.preflight.request import CheckRequest, Earlier
from worker import checkpoints
from worker.account import no_token
from worker.clock import Clock
from worker.contract import Start
from worker.errors import BadConfig
from worker.hubclient import patiently
from worker.task import Finding

if TYPE_CHECKING:
    from huggingface_hub import HfApi


def find_start(
    request: CheckRequest, start: Start, backend: Backend[Any], hub: HfApi | None, clock: Clock
) -> list[Finding]:
    """Return what there is to say of where training goes on. Raises `BadConfig`, `HubError`."""
    files = _on_hub(start, hub, clock) if start.repo_id else _in_folder(start, backend)
    if lacking := checkpoints.lacking(files, request.task.checkpoint_files):
        raise BadConfig(
            f"the checkpoint of step {start.step} at {start.where} is not whole: it has no "
            f"{', '.join(lacking)}.",
            fix="Run the job's command again: it begins at the first step.",
        )
    return [_told(start, request.earlier)]


def _told(start: Start, earlier: Earlier | None) -> Finding:
    of = f" of {earlier.total_steps:,}" if earlier and earlier.total_steps else ""
    where = f"{start.repo_id} at {str(start.revision)[:7]}" if start.repo_id else start.where
    return Finding(
        "ok", "resume", f"{start.jobs[-1]} goes on from step {start.step:,}{of} · {where}"
    )


def _on_hub(start: Start, hub: HfApi | None, clock: Clock) -> tuple[str, ...]:
    if hub is None or not hub.token:
        raise no_token(str(start.repo_id))
    look = partial(checkpoints.found, str(start.repo_id), str(start.revision), str(hub.token))
    for one in patiently(f"looking for the checkpoint in {start.repo_id}", look, clock):
        if one.step == start.step:
            return one.files
    raise BadConfig(
        f"the checkpoint of step {start.step} is not in {start.repo_id} any more.",
        fix="If the repo has another name now: hubtrain resume OWNER/NAME. Else run the job's"
        " command again: it begins at the first step.",
    )


def _in_folder(start: Start, backend: Backend[Any]) -> list[str]:
    if not backend.sees_my_files:
        raise BadConfig(
            f"the checkpoint lies in {start.folder}, which {backend.name} cannot read.",
            fix="Leave --backend out; checkpoints of jobs with --push-to-hub are on the Hub.",
        )
    try:
        return os.listdir(str(start.folder))
    except OSError as error:
        raise BadConfig(
            f"the checkpoint of step {start.step} is not here: {start.folder}.",
            fix="Resume the job on the machine where it ran.",
        ) from error
