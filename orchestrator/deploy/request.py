"""A deployment of any model, as it is asked for: its settings read and validated."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import worker.tasks
from orchestrator.deploy import DeployCheck, check
from orchestrator.deploy.model import deployable
from orchestrator.jobs.client import Client
from orchestrator.settings.deploy import DeploySettings, fixed, fixed_settings
from orchestrator.settings.job import Hub
from orchestrator.settings.layers import FLAGS, Catalog, Layer, from_environment, merge

TASKS = tuple(map(worker.tasks.load, worker.tasks.names()))
CLASSES = (DeploySettings, fixed_settings(TASKS), Hub)
"""The settings there are: where it answers, how it answers, whose it is."""

OTHERS = frozenset(Hub.model_fields.keys() - {"username"})
"""Settings of where a trained model goes, which is there already."""


@dataclass(frozen=True)
class DeploymentRequest:
    """What a deployment is to be like."""

    settings: DeploySettings
    fixed: Mapping[str, Any]
    """Settings of answers, the same for all who ask."""

    owner: str | None
    """Who pays; none: whose token it is."""

    def checked(self, client: Client, model: str) -> DeployCheck:
        """Check the deployment of the model of that name: free, in seconds."""
        find = partial(deployable, client, model, None, self.fixed)
        return check(client, self.settings, find, self.owner)


def deployment_request(
    given: Mapping[str, Any], source: str = FLAGS, environ: Mapping[str, str] = os.environ
) -> DeploymentRequest:
    """Return what was given, over what the environment says. Raises `BadConfig`."""
    catalog = Catalog(CLASSES)
    found = merge(catalog, [from_environment(catalog, environ), Layer(source, given)])
    return DeploymentRequest(found.of(DeploySettings), fixed(found, TASKS), found.of(Hub).username)
