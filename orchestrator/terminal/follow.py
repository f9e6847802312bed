"""A job watched at the terminal: progress while it runs, one explained end, Ctrl-C to leave it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator import flow
from orchestrator.exits import DETACHED
from orchestrator.jobs.records import Record
from orchestrator.jobs.summary import summary
from orchestrator.jobs.watch import Silence
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.ending import ending
from worker.contract import EndReason
from worker.errors import HubtrainError
from worker.finding import Finding


def follow(desk: Desk, record: Record, *, lines: bool = False) -> int:
    """Watch until the end, say how it ended, and return the exit code: 0 only on success."""
    with desk.screen.stages() as stages:
        page = desk.page(record)

        def show(known: Record) -> None:
            nonlocal page
            if page is None and (page := desk.page(known)):
                desk.screen.say(f"page         {page}")
            stages.training(known)

        if not record.ended:
            stages.training(record)
        record = flow.watch(
            desk,
            record,
            on_news=show,
            on_line=desk.screen.plain if lines else None,
            on_silence=lambda silence: desk.screen.findings([of_silence(silence)]),
        )
    return close(desk, record)


def of_silence(silence: Silence) -> Finding:
    """Return what to say of a provider that does not answer, or answers again."""
    level, topic = ("warn", "not asked") if silence.why else ("ok", "asked")
    return Finding(level, topic, silence.said)


def close(desk: Desk, record: Record) -> int:
    """Say how a job ended and return the exit code."""
    now = desk.clock.now()
    desk.screen.say("")
    desk.screen.say(*ending(record, now))
    desk.screen.document(summary(record, now))
    return 0 if record.story.reason is EndReason.OK else 1


@contextmanager
def detachable(desk: Desk, record: Record) -> Iterator[None]:
    """Turn Ctrl-C into leaving the job as it is, and say how to come back.

    A watch that fails leaves the job as well: that is said before the error goes on.
    """
    try:
        yield
    except HubtrainError:
        record = desk.records.get(record.job_id)
        if not record.story.state.final:
            _leave(desk, record, document=False)
        raise
    except KeyboardInterrupt:
        record = desk.records.get(record.job_id)
        if record.story.state.final:
            close(desk, record)
        else:
            _leave(desk, record)
        sys.exit(DETACHED)


def _leave(desk: Desk, record: Record, *, document: bool = True) -> None:
    job, page = record.job_id, desk.page(record)
    desk.screen.say("", f"Left running as {job}. Nothing was stopped.")
    desk.screen.say(f"watch again   hubtrain logs -f {job}        stop it   hubtrain cancel {job}")
    if page:
        desk.screen.say(f"page          {page}")
    if document:
        desk.screen.document(summary(record, desk.clock.now()))


@contextmanager
def unlaunched(desk: Desk) -> Iterator[None]:
    """Say what Ctrl-C left behind while a job is being sent and launched, and exit."""
    try:
        yield
    except KeyboardInterrupt:
        desk.screen.say("", "Interrupted before the job was launched.")
        desk.screen.say(
            "go on       the same command: what has been sent is not sent again, nor made twice"
        )
        desk.screen.say("leave it    hubtrain gc finds and stops whatever is left at a provider")
        desk.screen.document({"error": "interrupted before the job was launched"})
        sys.exit(DETACHED)
