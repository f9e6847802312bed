"""What a Space will be, as a value: its name, its files, its steps, and no network.

Two plans of one job are equal, and what is shown by `--dry-run` is what is sent. Secrets are not
in it; they join at `launch`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.resources import files as package_files
from typing import Any

from backends.errors import PlanRefused
from backends.image import TORCH_FILE, image_files, torch_in
from worker.contract import JOB_FILE, JobSpec
from worker.markdown import FILTERS
from worker.paths import is_path, spec_for_others

FREE = "cpu-basic"
"""The hardware that costs a Space nothing."""

JOB_VARIABLE = "HUBTRAIN_JOB"
"""The variable of a Space that says which job it is."""

TAG = "hubtrain"
JOB_TAG = "hubtrain-job-"
"""Tags of every Space of ours, and of the Space of one job, before its id."""

PAGE_PORT = 7860
SPARE_SECONDS = 3600
"""How much longer than the job's deadline a Space may go on without a visitor."""

SPACE_NAME = re.compile(r"(?!.*(--|\.\.))[A-Za-z0-9][\w.-]{0,94}[A-Za-z0-9]")
"""What the Hub takes for the name of a Space."""


@dataclass(frozen=True, slots=True)
class SpaceFile:
    """One file of the Space's repo."""

    path: str
    content: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def blob_id(self) -> str:
        """The id git, and so the Hub's file list, gives this content."""
        return hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()


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

    files: tuple[SpaceFile, ...]

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
        size = f"{sum(len(f.content) for f in self.files) / 1000:.0f} kB"
        variables = ", ".join(f"{k}={v}" for k, v in self.variables.items())
        steps = [
            f"create the private Space {self.repo_id} on {FREE} with {variables} and its secrets",
            f"commit {len(self.files)} files, {size}: an image with {self.torch or 'no torch'}",
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


def listed(files: Iterable[SpaceFile]) -> list[dict[str, Any]]:
    """Return files as plain data, without what is in them."""
    return [{"path": f.path, "bytes": len(f.content), "sha256": f.sha256} for f in files]


def space_name(owner: str, project: str, job_id: str) -> str:
    """Return the repo of a job's Space: the same job always has the same one."""
    return f"{owner}/{project}-{job_id}"


def plan(job: JobSpec) -> SpaceRequest:
    """Return the Space that runs `job`. Raises `PlanRefused` for what no Space can do."""
    _refuse_what_cannot_be(job)
    flavor = job.machine.flavor or FREE
    deadline = job.limits.max_seconds
    timed = deadline is not None and flavor != FREE
    return SpaceRequest(
        repo_id=space_name(str(job.owner), job.project, job.job_id),
        job_id=job.job_id,
        flavor=flavor,
        usd_per_hour=job.machine.usd_per_hour,
        sleep_seconds=int(deadline) + SPARE_SECONDS if timed and deadline is not None else None,
        files=tuple(_files(job)),
    )


def _refuse_what_cannot_be(job: JobSpec) -> None:
    name = f"{job.project}-{job.job_id}"
    if job.machine.flavor is None:
        raise PlanRefused(
            "A Space needs a machine to run on.",
            fix="Name one, as in --backend spaces-a10g; `hubtrain backends` lists them.",
        )
    if job.owner is None:
        raise PlanRefused("A Space belongs to an account.", fix="Give a token, or --username.")
    if job.push is None:
        raise PlanRefused(
            "A Space forgets its disk when it stops, so the model has to go somewhere.",
            fix="Add --push-to-hub.",
        )
    if job.data.repo_id is None:
        raise PlanRefused(f"A Space cannot see the folder {job.data.folder}: data goes by the Hub.")
    if job.model and is_path(job.model.name):
        raise PlanRefused(f"A Space cannot see {job.model.name}: push the model to the Hub first.")
    if not SPACE_NAME.fullmatch(name):
        raise PlanRefused(
            f"{name!r} cannot be the name of a Space: letters, digits, '-', '_' and '.', at most"
            " 96, beginning and ending with a letter or digit.",
            fix="Choose another --project-name.",
        )


def _files(job: JobSpec) -> list[SpaceFile]:
    template = package_files("space_template")
    made = {
        "README.md": _readme(job, (template / "README.md").read_text("utf-8")).encode(),
        JOB_FILE: (spec_for_others(job).model_dump_json(indent=2) + "\n").encode(),
        **image_files(job.extras or (job.task,), job.machine.accelerators),
    }
    return [SpaceFile(path, made[path]) for path in sorted(made)]


def _readme(job: JobSpec, template: str) -> str:
    from jinja2 import Environment, StrictUndefined

    page = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    page.filters |= FILTERS
    return page.from_string(template).render(
        title=f"{job.project} ({job.job_id})",
        port=PAGE_PORT,
        flavor=job.machine.flavor,
        tags=(TAG, JOB_TAG + job.job_id),
        model=job.model.name if job.model else None,
        dataset=job.data.repo_id,
        project=job.project,
        job_id=job.job_id,
        task=job.task,
        push=job.push.repo_id if job.push else "",
    )
