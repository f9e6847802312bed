"""What users may set of any job: where it runs, where the model goes, its limits."""

from __future__ import annotations

import re
from typing import Annotated

from annotated_types import Gt
from pydantic import Field, field_validator

import backends
from worker.contract import Limits, PushTarget
from worker.errors import BadConfig
from worker.params import Cap, Flag, Params

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)\s*([dhms]))")
_WHERE = (
    f"Where to run: {', '.join(backends.names())}, with -MACHINE for one of its machines;"
    " `hubtrain backends` lists them with prices."
)
_LONGEST = 365 * 86400.0
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}


class Project(Params):
    """Project."""

    project_name: Annotated[str | None, Flag("--project")] = None
    """Name of the job's output: the folder here and the model repo on the Hub."""

    backend: Annotated[str, Field(description=_WHERE)] = "local"


class Hub(Params):
    """Hugging Face Hub."""

    username: Annotated[str | None, Flag("--namespace")] = None
    """User or organisation that gets the model and pays; your own name when not given."""

    push_to_hub: bool = False
    """Push the trained model to the Hub."""

    repo_id: str | None = None
    """Repo of the trained model; username/project-name when not given."""

    private: Annotated[bool, Flag(off=("--public",))] = True
    """Keep the model repo private."""

    overwrite: bool = False
    """Write over a repo or folder that already holds something."""


class LimitSettings(Params):
    """Limits."""

    max_cost: Annotated[Annotated[float, Gt(0)] | None, Cap()] = None
    """Most money to spend, in US dollars; the job is stopped before it costs more."""

    max_duration: Annotated[str | None, Cap()] = None
    """Longest time to run, as in 90m, 2h or 1.5d."""

    hang_minutes: Annotated[float, Gt(0)] = 30.0
    """Minutes of silence after which the trainer counts as hung."""

    @field_validator("max_cost", mode="before")
    @classmethod
    def _in_dollars(cls, value: object) -> object:
        """Read `$5` as 5."""
        return value.strip().removeprefix("$") if isinstance(value, str) else value

    @field_validator("max_duration")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        if value is not None and not 0 < seconds(value) <= _LONGEST:
            raise ValueError("must be longer than nothing and at most a year")
        return value


class JobSettings(Project, Hub, LimitSettings):
    """Job."""

    def push_target(self, owner: str | None) -> PushTarget | None:
        """Return where the model goes, or none if it stays where it was trained."""
        if not self.push_to_hub:
            return None
        repo_id = self.repo_id or f"{owner}/{self.project_name}"
        return PushTarget(repo_id=repo_id, private=self.private, overwrite=self.overwrite)

    def limits(self) -> Limits:
        """Return the limits in the contract's units."""
        return Limits(
            max_seconds=seconds(self.max_duration) if self.max_duration else None,
            max_usd=self.max_cost,
            hang_seconds=self.hang_minutes * 60,
        )


def seconds(text: str) -> float:
    """Return a duration like `90m`, `2h`, `1h30m` or a number of seconds; raises `ValueError`."""
    text = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = _DURATION.findall(text)
    if not parts or _DURATION.sub("", text).strip():
        raise ValueError("is not a time; write 90m, 2h or 1.5d")
    return sum(float(n) * _SECONDS[unit] for n, unit in parts)


def named(settings: JobSettings, name: str) -> JobSettings:
    """Return the settings of a job that is called `name` where nobody has named it."""
    if not name or settings.project_name or settings.repo_id:
        return settings
    return settings.model_copy(update={"project_name": name})


def project_of(settings: JobSettings) -> str:
    """Return the project's name; raises `BadConfig` where there is none."""
    if settings.project_name:
        return settings.project_name
    if settings.repo_id:
        return settings.repo_id.split("/")[-1]
    raise BadConfig("--project-name is needed: it names the model and the job")
