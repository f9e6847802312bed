"""The examples of a job, prepared before the job: read, packed, and put where it will find them.

PackedJob data is named by its content, so a job that is asked for later with the same rows sends
nothing again. Prints nothing, and launches nothing.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.base import OnProgress, silent
from orchestrator.data import package as shipping
from orchestrator.data.sources import DataSource, find
from orchestrator.job_request import scratch
from orchestrator.jobs.client import Client
from orchestrator.preflight.account import check_account
from orchestrator.preflight.data import measure
from orchestrator.preflight.report import Findings
from orchestrator.preflight.token import Asks
from orchestrator.settings.job import JobSettings
from orchestrator.settings.layers import Settings
from worker.account import no_token, who
from worker.common import Data
from worker.contract import DataRef
from worker.errors import BadConfig, HubtrainError
from worker.hubclient import hub
from worker.task import Task
from worker.tasks import typed


@dataclass(frozen=True)
class Prepared:
    """Examples that lie on the Hub."""

    ref: DataRef
    rows: int
    valid_rows: int
    stored_bytes: int | None
    """Size of what was packed; none for a dataset of the Hub that is used where it is."""

    notes: tuple[str, ...]
    """What was decided about the rows."""


def prepare(
    client: Client, task: Task[Any], settings: Settings, on_progress: OnProgress = silent
) -> Prepared:
    """Pack the examples and send them to a private dataset, unless they are on the Hub already.

    May be repeated; the same rows are sent once. Raises `HubtrainError`: `BadData` for rows that
    cannot be read, `NoWrite` where there is no token.
    """
    if not task.reads_rows:
        raise BadConfig(f"{typed(task.name)} reads no rows: there is nothing to prepare.")
    wanted, job = settings.of(Data), settings.of(JobSettings)
    source = find(wanted, hub(client.token), task.media)
    rows = {role: measured.rows for role, measured in measure(source).items()}
    if source.remote is not None:
        return _prepared(source.remote, source, rows, None)
    with tempfile.TemporaryDirectory(prefix="hubtrain-", dir=scratch()) as folder:
        package = shipping.package(source, wanted, Path(folder), on_progress)
        owner = _writable(client, job.username, package)
        sent = shipping.upload(package, hub(client.token), owner, on_progress, client.clock)
    return _prepared(sent, source, rows | {"train": package.rows}, package.stored_bytes)


def _prepared(
    ref: DataRef, source: DataSource, rows: dict[str, int], stored_bytes: int | None
) -> Prepared:
    return Prepared(ref, rows["train"], rows.get("valid", 0), stored_bytes, source.notes)


def _writable(client: Client, asked: str | None, package: shipping.Package) -> str:
    """Return whose dataset it will be. Raises `HubtrainError` where that may not be written."""
    if client.token is None:
        raise no_token("a dataset on the Hub")
    account = who(hub(client.token), client.clock)
    owner, findings = asked or account.name, Findings()
    check_account(account, Asks(owner, (shipping.repo_of(package, owner),)), findings)
    for wrong in findings.in_order():
        if wrong.level == "error":
            raise HubtrainError(wrong.text, fix=wrong.fix)
    return owner
