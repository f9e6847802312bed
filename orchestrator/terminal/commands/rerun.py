"""`hubtrain rerun`: a training done once more, from what lies beside its model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

import worker.tasks
from orchestrator import completing, flow
from orchestrator.original import original
from orchestrator.terminal.any_task import TAKES_ALL, TakesSettings, with_changes, words_of_settings
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.train import run
from orchestrator.terminal.verdict import Verify
from orchestrator.verify import TOLERANCE


@click.command("rerun", cls=TakesSettings, context_settings=TAKES_ALL)
@click.argument("model", shell_complete=completing.models)
@click.option("--verify", is_flag=True, help="Compare the curves at the end; exits 1 if unlike.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=TOLERANCE,
    show_default=True,
    help="Largest difference that --verify lets pass.",
)
@words_of_settings("changes", "[SETTINGS]...")
def COMMAND(  # noqa: N802
    model: str, changes: tuple[str, ...], verify: bool, tolerance: float
) -> int:
    """Train a model once more, as it was trained before.

    MODEL is OWNER/NAME on the Hub, OWNER/NAME@REVISION, a folder, or a job that succeeded. SETTINGS
    are those of its task, with --dry-run, --detach and --json among them; what is not given is as
    it was, from the same rows and the same commit of the base model. The new model goes to a place
    of its own, PROJECT-rerun. What cannot be as it was is said before anything is rented.
    """
    desk = Desk("--json" in changes)
    found = original(desk, model)
    task = worker.tasks.load(found.spec.task)

    def rerun(changes: Mapping[str, Any], *, dry_run: bool, detach: bool) -> int:
        asked = flow.rerun(desk, found, changes)
        after = Verify(found, tolerance) if verify else None
        with desk.screen.one_document():
            return run(desk, asked, dry_run=dry_run, detach=detach, after=after)

    return with_changes("rerun", model, task, changes, rerun)
