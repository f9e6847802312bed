"""What a Space will be, as a value: its name, its files, its steps, and no network.

Two plans of one job are equal, and what is shown by `--dry-run` is what is sent. Secrets are not
in it; they join at `launch`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files as package_files
from typing import Any

from backends.hub.files import RepoFile, amount, listed, of_job
from backends.hub.hardware import FREE
from backends.hub.refusals import refuse_what_cannot_be
from backends.image import TORCH_FILE, torch_in
from worker.contract import JobSpec
from worker.markdown import FILTERS

JOB_VARIABLE = "HUBTRAIN_JOB"
"""The variable of a Space that says which job it is."""

KIND = "space"
"""What the Hub calls such a repo."""

TAG = "hubtrain"
JOB_TAG = "hubtrain-job-"
"""Tags of every Space of ours, and of the Space of one job, before its id."""

PAGE_PORT = 7860
SPARE_SECONDS = 3600
"""How much longer than the job's deadline a Space may go on without a visitor."""


@dataclass(frozen=True, slots=True, repr=False)
class SpaceRequest:
    """A Docker Space that runs one job."""

    repo_id: str
    job_id: str
    flavor: str
    usd_per_hour: float
    sleep_seconds: int | None
    """Silence after which the Hub puts the Space to sleep; none leaves the Hub's own rule.

    The third net under a paid machine. A sleep timer counts visits and not work, so one shorter
    than the job would end it in the middle; one longer than the job's deadline can only ever end a
    machine that should have stopped itself. Free hardware refuses a timer, and a job without a
    deadline has no safe one.
    """

    files: tuple[RepoFile, ...]

    @property
    def variables(self) -> dict[str, str]:
        """Variables of the Space, readable by whoever can read it."""
        return {JOB_VARIABLE: self.job_id}

    @property
    def readme(self) -> str:
        """The Space's front page, with the front matter that configures it."""
        return self._text("README.md")

    @property
    def torch(self) -> str | None:
        """The torch its image installs, as in `torch==2.10.0`; none for a task without."""
        return torch_in(self._text(TORCH_FILE))

    def _text(self, path: str) -> str:
        return next(f.content.decode() for f in self.files if f.path == path)

    @property
    def steps(self) -> tuple[str, ...]:
        """What `launch` does, in order. Whatever fails before the last step leaves nothing."""
        variables = ", ".join(f"{k}={v}" for k, v in self.variables.items())
        steps = [
            f"create the private Space {self.repo_id} on {FREE} with {variables} and its secrets",
            f"commit {amount(self.files)}: an image with {self.torch or 'no torch'}",
        ]
        if self.flavor != FREE:
            asleep = f", asleep after {(self.sleep_seconds or 0) / 3600:.3g} h without a visitor"
            net = asleep if self.sleep_seconds else ""
            steps.append(f"request {self.flavor} at ${self.usd_per_hour:.2f}/h{net}")
        return tuple(steps)

    def __repr__(self) -> str:
        return in_steps(self.repo_id, self.steps)

    def to_json(self) -> dict[str, Any]:
        """Return the same as plain data, for `--json`."""
        return {
            "repo_id": self.repo_id,
            "job_id": self.job_id,
            "flavor": self.flavor,
            "usd_per_hour": self.usd_per_hour,
            "sleep_seconds": self.sleep_seconds,
            "variables": self.variables,
            "torch": self.torch,
            "steps": list(self.steps),
            "files": listed(self.files),
            "readme": self.readme,
        }


def in_steps(repo_id: str, steps: Iterable[str]) -> str:
    """Return a Space as people read it before it is made."""
    return "\n".join([f"Space {repo_id}", *(f"  {n}. {step}" for n, step in enumerate(steps, 1))])


def space_name(owner: str, project: str, job_id: str) -> str:
    """Return the repo of a job's Space: the same job always has the same one."""
    return f"{owner}/{project}-{job_id}"


def plan(job: JobSpec) -> SpaceRequest:
    """Return the Space that runs `job`. Raises `PlanRefused` for what no Space can do."""
    refuse_what_cannot_be(job, "Space", "spaces-a10g")
    flavor = job.machine.flavor or FREE
    deadline = job.limits.max_seconds
    timed = deadline is not None and flavor != FREE
    return SpaceRequest(
        repo_id=space_name(str(job.owner), job.project, job.job_id),
        job_id=job.job_id,
        flavor=flavor,
        usd_per_hour=job.machine.usd_per_hour,
        sleep_seconds=int(deadline) + SPARE_SECONDS if timed and deadline is not None else None,
        files=of_job(job, **{"README.md": _readme(job).encode()}),
    )


def front_page(template: str, **values: Any) -> str:
    """Return the README of a Space: a file of `space_template/`, filled in."""
    from jinja2 import Environment, StrictUndefined

    text = (package_files("space_template") / template).read_text("utf-8")
    page = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    page.filters |= FILTERS
    return page.from_string(text).render(port=PAGE_PORT, **values)


def _readme(job: JobSpec) -> str:
    return front_page(
        "README.md",
        title=f"{job.project} ({job.job_id})",
        flavor=job.machine.flavor,
        tags=(TAG, JOB_TAG + job.job_id),
        model=job.model.name if job.model else None,
        dataset=job.data.repo_id,
        project=job.project,
        job_id=job.job_id,
        task=job.task,
        push=job.push.repo_id if job.push else "",
    )
