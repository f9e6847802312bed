"""A Space as a value, before it is made: what that of a job and that of a model have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib.resources import files as package_files
from typing import Any

from backends.hub.files import RepoFile, listed
from backends.hub.hardware import FREE
from worker.markdown import FILTERS

KIND = "space"
"""What the Hub calls such a repo."""

TAG = "hubtrain"
"""The tag of every Space of ours."""

PAGE_PORT = 7860
"""Where pages are served in a Space, and in a Job that has one."""


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class NewSpace(ABC):
    """A Space that is yet to be made. Secrets are not in it."""

    repo_id: str
    flavor: str
    usd_per_hour: float
    sleep_seconds: int | None
    """Silence after which the Hub puts it to sleep; none leaves the Hub's own rule."""

    files: tuple[RepoFile, ...]

    @property
    @abstractmethod
    def variables(self) -> dict[str, str]:
        """Variables of the Space, readable by whoever can read it."""

    @property
    @abstractmethod
    def steps(self) -> tuple[str, ...]:
        """What making it takes, in order. Paid hardware is the last of it."""

    def request_of_hardware(self, asleep: str) -> tuple[str, ...]:
        """Return the step that costs, none on free hardware; `asleep` is when the Hub ends it."""
        if self.flavor == FREE:
            return ()
        net = f", asleep after {asleep} without a visitor" if self.sleep_seconds else ""
        return (f"request {self.flavor} at ${self.usd_per_hour:.2f}/h{net}",)

    def __repr__(self) -> str:
        steps = (f"  {n}. {step}" for n, step in enumerate(self.steps, 1))
        return "\n".join([f"Space {self.repo_id}", *steps])

    def to_json(self) -> dict[str, Any]:
        """Return the same as plain data, for `--json`, its files without their text."""
        return {
            "repo_id": self.repo_id,
            "flavor": self.flavor,
            "usd_per_hour": self.usd_per_hour,
            "sleep_seconds": self.sleep_seconds,
            "variables": self.variables,
            "steps": list(self.steps),
            "files": listed(self.files),
        }


def front_page(template: str, **values: Any) -> str:
    """Return the README of a Space: a file of `space_template/`, filled in."""
    from jinja2 import Environment, StrictUndefined

    text = (package_files("space_template") / template).read_text("utf-8")
    page = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    page.filters |= FILTERS
    return page.from_string(text).render(port=PAGE_PORT, **values)
