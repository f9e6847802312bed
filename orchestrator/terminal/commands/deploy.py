"""`hubtrain deploy`: a trained model on a page of its own, whatever task made it."""

from __future__ import annotations

from typing import Any

import click

from orchestrator.deploy.request import CLASSES, OTHERS, deployment_request
from orchestrator.flags import (
    DETACH,
    DRY_RUN,
    JSON,
    TOKEN_OPTION,
    SettingsCommand,
    given,
    normalized,
    options_of,
)
from orchestrator.terminal.desk import Desk

_OWN = (DRY_RUN, DETACH, TOKEN_OPTION, JSON)


def _params() -> list[click.Parameter]:
    offered = options_of(CLASSES)
    return [
        click.Argument(["model"]),
        *_OWN,
        *(one for one in offered if one.name not in OTHERS),
    ]


@click.command(
    "deploy",
    cls=SettingsCommand,
    params=_params(),
    context_settings={"token_normalize_func": normalized},
)
def COMMAND(model: str, **values: Any) -> int:  # noqa: N802
    """Let a trained model of the Hub answer on a page.

    MODEL is its repo. Run again, the command brings the page up to date. Exits 0 once it answers.
    """
    from orchestrator.terminal.deploy import deploy

    own = {option.name: values.pop(str(option.name)) for option in _OWN}
    wanted = deployment_request(given(values))
    return deploy(
        Desk(bool(own["json"])),
        wanted.settings,
        model,
        None,
        wanted.fixed,
        owner=wanted.owner,
        dry_run=bool(own["dry_run"]),
        detach=bool(own["detach"]),
    )
