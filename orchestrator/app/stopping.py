"""Stopping a job or a deployment for its user: what it would leave, and doing it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import backends
from backends.handle import Handle
from orchestrator.app.board import Board
from worker.errors import HubtrainError
from worker.show.view import View, what_stopping_keeps

if TYPE_CHECKING:
    from orchestrator.jobs.records import Record


def question(board: Board, act: str, what: str) -> str:
    """Return what is asked before a job or a deployment is stopped. Raises `HubtrainError`."""
    if act == "pause":
        return f"Stop {what}? It answers no more until it is deployed again; nothing is deleted."
    record = board.client.record(what)
    return (
        f"Stop {record.spec.project} ({record.job_id})? {_kept(record, board.client.clock.now())}"
    )


def _kept(record: Record, now: datetime) -> str:
    view = View.of(record.spec, list(record.events), now)
    keeps = backends.load(record.spec.machine.backend).keeps_disk
    return what_stopping_keeps(view, keeps_disk=keeps)


def stop(board: Board, act: str, what: str) -> None:
    """Stop a job or a deployment, in a thread; the board tells what becomes of it."""
    if act == "pause":
        board.do(f"Stopping {what}", lambda: _paused(board, what))
    else:
        board.do(f"Stopping {what}", lambda: _cancelled(board, what))


def _paused(board: Board, handle: str) -> str:
    named = Handle.parse(handle)
    board.client.place(named).pause(named)
    return f"Stopped {handle}."


def _cancelled(board: Board, job_id: str) -> str:
    watch = board.client.watch(board.client.record(job_id))
    record = watch.cancel()
    if watch.problem:
        raise watch.problem
    if not record.story.state.final:
        raise HubtrainError(
            f"{job_id} is not known to have stopped; that you want it to is noted.",
            fix="Stop it once more.",
        )
    return f"Stopped {record.spec.project} ({job_id})."
