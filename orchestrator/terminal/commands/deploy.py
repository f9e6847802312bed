"""`hubtrain deploy`: a trained model on a page of its own, whatever task made it."""

from __future__ import annotations

import os
from typing import Any

import click

import worker.tasks
from orchestrator.settings.deploy import DeploySettings, fixed_settings
from orchestrator.settings.job import Hub
from orchestrator.settings.layers import FLAGS, Catalog, Layer, from_environment, merge
from orchestrator.terminal.command import DETACH, DRY_RUN, JSON, TOKEN_OPTION
from orchestrator.terminal.desk import Desk
from orchestrator.terminal.flags import SettingsCommand, given, normalized, options_of

_OWN = (DRY_RUN, DETACH, TOKEN_OPTION, JSON)
_FIXED = fixed_settings(map(worker.tasks.load, worker.tasks.names()))
_CLASSES = (DeploySettings, _FIXED, Hub)
_OTHERS = Hub.model_fields.keys() - {"username"}
"""Settings of where a trained model goes, which is there already."""


def _params() -> list[click.Parameter]:
    offered = options_of(_CLASSES)
    return [
        click.Argument(["model"]),
        *_OWN,
        *(one for one in offered if one.name not in _OTHERS),
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
    catalog = Catalog(_CLASSES)
    settings = merge(catalog, [from_environment(catalog, os.environ), Layer(FLAGS, given(values))])
    return deploy(
        Desk(bool(own["json"])),
        settings.of(DeploySettings),
        model,
        None,
        settings.of(_FIXED).model_dump(mode="json", exclude_unset=True),
        owner=settings.of(Hub).username,
        dry_run=bool(own["dry_run"]),
        detach=bool(own["detach"]),
    )
