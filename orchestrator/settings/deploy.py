"""What users may set of a deployment: where a model answers, and until when."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field, create_model, field_validator

import backends.deploy
from orchestrator.settings.job import JobSettings, seconds
from orchestrator.settings.layers import Settings
from orchestrator.settings.secrets import refuse_written_down
from worker.params import Params
from worker.task import Task

_WHERE = (
    f"Where the model answers: {', '.join(backends.deploy.names())}, with -MACHINE for one of their"
    " machines; a Space on free hardware when not given."
)
_HERE = (JobSettings.model_fields["backend"].default, "default")
"""What `--backend` says where a job runs on this machine, by AutoTrain's word too."""

_LEAST_SECONDS = 60.0


class DeploySettings(Params):
    """Deployment (--deploy)."""

    deploy_backend: Annotated[str | None, Field(description=_WHERE)] = None

    deploy_name: str | None = None
    """Name of the Space or endpoint; that of the model with -chat when not given."""

    deploy_sleep: str = "30m"
    """Time without a question after which a paid machine sleeps and costs nothing."""

    deploy_public: bool = False
    """Let everybody ask; needs a public model."""

    @field_validator("deploy_sleep")
    @classmethod
    def _readable(cls, value: str) -> str:
        if seconds(value) < _LEAST_SECONDS:
            raise ValueError("must be a minute or more")
        return value


def fixed_settings(tasks: Iterable[Task[Any]]) -> type[Params]:
    """Return the settings of questions that these tasks let a deployment fix for all visitors."""
    fields: dict[str, Any] = {}
    for task in tasks:
        known = task.question.model_fields if task.question else {}
        for name in task.fixed:
            fields.setdefault(name, (known[name].annotation, known[name]))
    return create_model("Fixed", __base__=Params, __doc__="Answers (--deploy).", **fields)


def fixed(settings: Settings, tasks: Iterable[Task[Any]]) -> dict[str, Any]:
    """Return those of tasks that were given, validated. Raises `BadConfig`."""
    found = settings.of(fixed_settings(tasks)).model_dump(mode="json", exclude_unset=True)
    refuse_written_down(found, {}, settings.spelled)
    return found


def deploy_settings(settings: Settings, *, trains: bool) -> DeploySettings:
    """Return the settings of a deployment. Raises `BadConfig`.

    Where nothing is trained, `--backend` says where the model answers, as AutoTrain's users write.
    """
    found = settings.of(DeploySettings)
    where = settings.values.get("backend")
    if trains or found.deploy_backend or where in {None, *_HERE}:
        return found
    return found.model_copy(update={"deploy_backend": where})
