"""`hubtrain rehearse`: a job tried on a Hub of this machine, before it costs anything."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import click

from orchestrator import flow
from orchestrator.exits import FAILED, MENDABLE
from orchestrator.jobs.records import Record
from orchestrator.rehearsal import STEPS, Rehearsal, Runner, refuse_free, rehearse
from orchestrator.settings.layers import Settings
from orchestrator.terminal.any_task import (
    TAKES_ALL,
    TakesSettings,
    with_settings,
    words_of_settings,
)
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.train import passed
from worker.task import Task


@click.command("rehearse", cls=TakesSettings, context_settings=TAKES_ALL)
@click.option("--steps", type=click.IntRange(1, 100), default=STEPS, help="Steps to train.")
@click.option(
    "--runner",
    type=click.Choice([str(one) for one in Runner]),
    default=str(Runner.PROCESS),
    help="What a Space is here: docker really builds its image, which takes minutes.",
)
@click.option("--name", hidden=True, help="What its report is called; for the app, which shows it.")
@words_of_settings()
def COMMAND(  # noqa: N802
    words: tuple[str, ...], steps: int, runner: str, name: str | None
) -> int:
    """Try a job for a few steps, on a Hub made here.

    SETTINGS are those of `hubtrain TASK --train`, with --config FILE and --json among them. The
    job is checked against the real Hub; then the same settings, data, Space and worker run here for
    a few steps. Large weights are replaced by random ones of the same architecture. Exits 0 if the
    job came to its good end.
    """
    return with_settings("rehearse", words, partial(_rehearse, steps, Runner(runner), name))


def _rehearse(  # noqa: PLR0917
    steps: int,
    runner: Runner,
    name: str | None,
    desk: Desk,
    task: Task[Any],
    settings: Settings,
) -> int:
    asked = flow.ask(desk, task, settings)
    refuse_free(asked)
    checked = passed(desk, asked)
    if checked is None:
        return MENDABLE
    desk.screen.say("", "Rehearsing on a Hub of this machine")
    with desk.screen.stages() as stages:

        def show(record: Record) -> None:
            if not record.ended:
                stages.training(_free(record))

        done = rehearse(
            desk,
            asked,
            checked.report,
            settings,
            steps=steps,
            runner=runner,
            on_progress=stages,
            on_news=show,
            name=name,
        )
    return _told(desk, done)


def _free(record: Record) -> Record:
    """Return a job at the price that it has here."""
    machine = record.spec.machine.model_copy(update={"usd_per_hour": 0.0})
    return replace(record, spec=record.spec.model_copy(update={"machine": machine}))


def _told(desk: Desk, done: Rehearsal) -> int:
    story = done.record.story
    if not done.ok:
        desk.screen.say("", *story.message.splitlines(), *story.detail.splitlines()[-10:])
    desk.screen.say("", "Shown to work")
    desk.screen.findings(done.proved())
    desk.screen.say("", "Not shown")
    desk.screen.findings(done.unproved())
    end = "The job can be launched: the same words without `rehearse`, with --train."
    desk.screen.say("", end if done.ok else f"The rehearsal failed (reason: {story.reason}).")
    desk.screen.document(done.to_json(desk.clock.now()))
    return 0 if done.ok else FAILED
