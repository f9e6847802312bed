"""What a Space that serves something will be, as a value: its name, its files, its steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from backends.deploy.base import SECRET, DeployOrder
from backends.errors import PlanRefused
from backends.handle import Handle
from backends.hub.files import RepoFile, amount
from backends.hub.hardware import FREE
from backends.hub.refusals import REPO_NAME
from backends.hub.space import TAG, NewSpace, front_page
from backends.image import image_files
from worker.contract import DEPLOYMENT_FILE

SCHEME = "space"
"""How handles of these Spaces begin."""

VARIABLE = "HUBTRAIN_DEPLOYMENT"
"""The variable of a Space that says what it serves: a model, by its name, or `APP`."""

APP = "the app of hubtrain"
"""What a Space serves that serves no model."""

DEPLOYMENT_TAG = "hubtrain-deployment"


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class SpaceDeployment(NewSpace):
    """A Space that serves one model, or the app."""

    model: str
    """Its name, or `APP`."""

    private: bool
    needs_token: bool

    @property
    def variables(self) -> dict[str, str]:
        """What it serves."""
        return {VARIABLE: self.model}

    @property
    def steps(self) -> tuple[str, ...]:
        """What `send` does, in order."""
        kind = "private" if self.private else "public"
        secret = f" and the secret {SECRET}, a token that reads the model" * self.needs_token
        return (
            f"create the {kind} Space {self.repo_id} on {FREE}, marked {VARIABLE}={self.model}"
            f"{secret}; or update the one that is there",
            f"commit {amount(self.files)}",
            *self.request_of_hardware(f"{(self.sleep_seconds or 0) / 60:.0f} min"),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the same as plain data, for `--json`."""
        return NewSpace.to_json(self) | {"model": self.model, "private": self.private}


def files_of(order: DeployOrder) -> Iterator[RepoFile]:
    """Yield what the Space is made of: its card, its deployment, and the image jobs run in."""
    deployment = order.deployment
    made = {
        "README.md": _readme(order).encode(),
        DEPLOYMENT_FILE: (deployment.model_dump_json(indent=2) + "\n").encode(),
        **image_files(order.extras, order.flavor.accelerators),
    }
    return (RepoFile(path, made[path]) for path in sorted(made))


def refuse_name(name: str) -> None:
    """Raise `PlanRefused` for what no Space can be called."""
    if not REPO_NAME.fullmatch(name):
        raise PlanRefused(
            f"{name!r} cannot be the name of a Space: letters, digits, '-', '_' and '.',"
            " at most 96, beginning and ending with a letter or digit.",
            fix="--deploy-name with another one",
        )


def _readme(order: DeployOrder) -> str:
    models = (order.deployment.model, order.deployment.base)
    return front_page(
        "deployment.md",
        title=order.name,
        flavor=order.flavor.name,
        tags=(TAG, DEPLOYMENT_TAG),
        models=[model.name for model in models if model],
        handle=Handle(SCHEME, order.path),
    )
