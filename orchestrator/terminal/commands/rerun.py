"""`hubtrain rerun`: a training done once more, from what lies beside its model."""

from __future__ import annotations

import click

import worker.tasks
from orchestrator import flow
from orchestrator.original import original
from orchestrator.settings.gather import classes_of
from orchestrator.terminal.any_task import TAKES_ALL
from orchestrator.terminal.command import DETACH, DRY_RUN, JSON, TOKEN_OPTION
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.flags import SettingsCommand, given, normalized, options_of
from orchestrator.terminal.train import run
from orchestrator.terminal.verdict import Verify
from orchestrator.verify import TOLERANCE

_OWN = (TOKEN_OPTION, DRY_RUN, DETACH, JSON)


@click.command("rerun", context_settings=TAKES_ALL)
@click.argument("model")
@click.option("--verify", is_flag=True, help="Compare the curves at the end; exits 1 if unlike.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=TOLERANCE,
    show_default=True,
    help="Largest difference that --verify lets pass.",
)
@click.argument("changes", nargs=-1, type=click.UNPROCESSED, metavar="[SETTINGS]...")
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

    def rerun(**values: object) -> int:
        own = {str(option.name): values.pop(str(option.name)) for option in _OWN}
        asked = flow.rerun(desk, found, given(values))
        after = Verify(found, tolerance) if verify else None
        how = {name: bool(own[name]) for name in ("dry_run", "detach")}
        with desk.screen.one_document():
            return run(desk, asked, **how, after=after)

    command = SettingsCommand(
        "rerun",
        params=[*_OWN, *options_of(classes_of(task))],
        callback=rerun,
        context_settings={"token_normalize_func": normalized},
    )
    name = f"hubtrain rerun {model}"
    code: int = command.main(list(changes), prog_name=name, standalone_mode=False)
    return code
