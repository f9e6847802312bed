"""`hubtrain sweep`: one job with many settings, and the best of its models."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from orchestrator import completing
from orchestrator.flags import SettingsCommand, config_among, given, options_of
from orchestrator.settings.files import read
from orchestrator.settings.sweep import SweepSettings
from orchestrator.sweep.begin import how_of, tries_of
from orchestrator.sweep.space import TRY, said
from orchestrator.terminal.any_task import (
    TAKES_ALL,
    TakesSettings,
    with_settings,
    words_of_settings,
)
from orchestrator.terminal.sweeps import go_on, sweep


class _Sweep(SettingsCommand, TakesSettings):
    """Shows its settings in their groups, and takes those of a task."""


@click.command("sweep", cls=_Sweep, context_settings=TAKES_ALL)
@click.option(
    TRY,
    "tried",
    multiple=True,
    metavar="NAME=VALUES",
    help="A setting of the task and what to try, once for each: lr=1e-5,3e-5 or lr=log:1e-6..1e-3"
    " or lora_r=8..64:8.",
)
@click.option(
    "--resume",
    metavar="NAME",
    shell_complete=completing.sweeps,
    help="Go on with a sweep, as the same command would.",
)
@click.option("--max-cost", metavar="USD", help="Most that all trials together may cost.")
@click.option(
    "--dry-run", is_flag=True, help="Check the trials, sum up what they cost, begin none."
)
@click.option("--detach", is_flag=True, help="Let it go on by itself; do not watch.")
@words_of_settings()
def COMMAND(  # noqa: N802, PLR0917
    words: tuple[str, ...],
    tried: tuple[str, ...],
    resume: str | None,
    max_cost: str | None,
    dry_run: bool,
    detach: bool,
    **how: Any,
) -> int:
    """Train one job with many settings; keep the best.

    SETTINGS are those of `hubtrain TASK --train`, with --config FILE and --json among them; the
    file may have a block `sweep`. Each trial is a job of its own, called NAME-t0, NAME-t1, …;
    --max-cost bounds all of them together. Ctrl-C leaves those that run; the same command again
    goes on, and `hubtrain cancel NAME` stops them; with --detach a process of its own makes
    them all, and `hubtrain status NAME` says how it is. Exits 0 if every trial was made and one
    succeeded.
    """
    if resume is not None:
        changes = given({**how, "max_cost": max_cost})
        words_left = [*words, *tried, *["--dry-run"] * dry_run]
        return go_on(resume, changes, words_left, detach=detach)
    where = config_among(words)
    block = read(where).sweep if where else {}
    own = how_of(block, given(how), where or "")
    wanted = {**tries_of(block, where or ""), **said(tried)}
    bound = [] if max_cost is None else ["--max-cost", max_cost]
    do = partial(sweep, tried=wanted, how=own, dry_run=dry_run, detach=detach)
    return with_settings("sweep", words, do, more=bound, sweeps=True)


COMMAND.params += options_of((SweepSettings,))
