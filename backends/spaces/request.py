"""What a Space will be, as a value: its name, its files, its steps, and no network.

Two plans of one job are equal, and what is shown by `--dry-run` is what is sent. Secrets are not
in it; they join at `launch`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backends.hub.files import amount, of_job
from backends.hub.hardware import FREE
from backends.hub.refusals import refuse_what_cannot_be
from backends.hub.space import TAG, NewSpace, front_page
from backends.image import TORCH_FILE, torch_in
from worker.contract import JobSpec

JOB_VARIABLE = "HUBTRAIN_JOB"
"""The variable of a Space that says which job it is."""

JOB_TAG = "hubtrain-job-"
"""How the tag of a job's Space begins, before its id."""

SPARE_SECONDS = 3600
"""How much longer than the job's deadline a Space may go on without a visitor."""


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class SpaceRequest(NewSpace):
    """A Docker Space that runs one job.

    Its sleep timer is the third net under a paid machine. A timer counts visits and not work, so
    one shorter than the job would end it in the middle; one longer than the job's deadline can only
    ever end a machine that should have stopped itself. Free hardware refuses a timer, and a job
    without a deadline has no safe one.
    """

    job_id: str

    @property
    def variables(self) -> dict[str, str]:
        """Which job it is."""
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
        return (
            f"create the private Space {self.repo_id} on {FREE} with {variables} and its secrets",
            f"commit {amount(self.files)}: an image with {self.torch or 'no torch'}",
            *self.request_of_hardware(f"{(self.sleep_seconds or 0) / 3600:.3g} h"),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the same as plain data, for `--json`."""
        mine = {"job_id": self.job_id, "torch": self.torch, "readme": self.readme}
        return NewSpace.to_json(self) | mine


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
