"""What a Job will be, as a value: its repo of code, its image, its limits, and no network.

Secrets are not in it; they join at `launch`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backends.hub.files import RepoFile, amount, listed, of_job
from backends.hub.refusals import refuse_what_cannot_be
from backends.hub.space import PAGE_PORT
from backends.image import TORCH_FILE, torch_in
from backends.jobs.image import OWN, SPACES, own_files, repo_of
from backends.jobs.options import JobsOptions
from worker.contract import EndReason, JobSpec, Limits
from worker.duration import roughly

IMAGE = "ghcr.io/astral-sh/uv:python3.11-bookworm"
"""Python and uv: the image huggingface_hub runs uv scripts in, with the Python of our pins.

The alternative, an image of our own that a paused Space has built (`backends.jobs.image`), needs a
paid plan and minutes of building before the first job of its kind, and is as large to fetch as the
packages are."""

KIND = "dataset"
"""What the Hub calls the repo that holds code and job: Jobs mount such repos, at a commit."""

MOUNT = "/job"
COMMAND = ("python", "-P", "-m", "worker.bootstrap")
"""`-P`: what lies in the image's own folder, such as the worker of a Space, is not searched."""

PAGE_USD_PER_HOUR = 0.01
"""What the Hub takes for a Job with a port that can be reached (hub-docs, jobs-pricing)."""

OURS, JOB_LABEL, PROJECT_LABEL = "hubtrain", "hubtrain-job", "hubtrain-project"
TIMEOUT_LABEL = "hubtrain-timeout"
"""Labels: that a Job is ours, whose it is, and the `EndReason` its time limit stands for."""

LATE_SECONDS = 300.0
"""How long after its limits and its last push a worker may still take to end by itself."""

LONGEST_SECONDS = 72 * 3600.0
"""Time limit of a Job without any of its own. Without a timeout the Hub would end it after 30
minutes, and with none that ever ends it, a machine that hangs would cost until somebody looks."""


@dataclass(frozen=True, slots=True, repr=False)
class JobRequest:
    """A Job of the Hub that runs one job of ours."""

    namespace: str
    """Account that it runs under, and that pays."""

    repo_id: str
    """Private dataset that holds what it runs."""

    job_id: str
    flavor: str
    usd_per_hour: float
    image: str
    timeout_seconds: int
    timeout_for: str
    """What the time limit rests on, in words."""

    labels: Mapping[str, str] = field(hash=False)
    page: bool
    files: tuple[RepoFile, ...]
    own_image: tuple[RepoFile, ...] = ()
    """Files of the Space that builds its image; none where the image is there already."""

    @property
    def own_repo(self) -> str:
        """That Space."""
        return self.image.removeprefix(SPACES)

    @property
    def environment(self) -> dict[str, str]:
        """Variables of the Job, readable by whoever may see it."""
        told = {
            "PYTHONPATH": MOUNT,
            "PYTHONUNBUFFERED": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "GRADIO_ANALYTICS_ENABLED": "False",
            "HUBTRAIN_NAMESPACE": self.namespace,
        }
        if self.page:
            told |= {"GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_SERVER_PORT": str(PAGE_PORT)}
        return told

    @property
    def torch(self) -> str | None:
        """The torch it installs, as in `torch==2.10.0`; none for a task without."""
        text = next(f.content for f in self.files if f.path == TORCH_FILE)
        return torch_in(text.decode())

    @property
    def steps(self) -> tuple[str, ...]:
        """What `launch` does, in order. Whatever fails before the last step leaves nothing."""
        page = f", of which its page's own address is ${PAGE_USD_PER_HOUR:.2f},"
        built = (
            f"build the image of the private Space {self.own_repo} on hardware that costs nothing,"
            " and pause it, unless that has been done",
        )
        return (
            *(built if self.own_image else ()),
            f"create the private dataset {self.repo_id}, and commit {amount(self.files)}: the"
            " worker, the job, and what it needs",
            f"run a Job on {self.flavor} at ${self.usd_per_hour:.2f}/h{page * self.page} under"
            f" {self.namespace}, with the commit mounted and its secrets; the Hub ends it after"
            f" {roughly(self.timeout_seconds)} ({self.timeout_for})",
        )

    @property
    def equipment(self) -> str:
        """What is in the image, and what is done about the rest."""
        needs = self.torch or "no torch"
        if self.image == IMAGE:
            return f"{IMAGE}, public: nothing to build; what is needed ({needs}) is installed there"
        if self.own_image:
            return f"{self.image}, built once for all jobs that need the same ({needs})"
        return f"{self.image}, with what it lacks ({needs}) installed there"

    def __repr__(self) -> str:
        steps = [f"  {n}. {step}" for n, step in enumerate(self.steps, 1)]
        return "\n".join(
            [f"Job {self.job_id} of {self.namespace}", *steps, f"Image  {self.equipment}"]
        )

    def to_json(self) -> dict[str, Any]:
        """Return the same as plain data, for `--json`."""
        return {
            "namespace": self.namespace,
            "repo_id": self.repo_id,
            "job_id": self.job_id,
            "flavor": self.flavor,
            "usd_per_hour": self.usd_per_hour,
            "image": self.image,
            "command": list(COMMAND),
            "environment": self.environment,
            "timeout_seconds": self.timeout_seconds,
            "labels": dict(self.labels),
            "page": self.page,
            "torch": self.torch,
            "steps": list(self.steps),
            "files": listed(self.files),
        }


def plan(job: JobSpec, options: JobsOptions) -> JobRequest:
    """Return the Job that runs `job`. Raises `PlanRefused` for what no Job can do."""
    refuse_what_cannot_be(job, "Job", "jobs-a10g")
    seconds, why, words = timeout(job.limits, job.machine.usd_per_hour)
    name = f"{job.project}-{job.job_id}"
    files = of_job(job)
    own = own_files(files) if options.jobs_image == OWN else ()
    image = f"{SPACES}{repo_of(str(job.owner), files)}" if own else options.jobs_image or IMAGE
    return JobRequest(
        namespace=str(job.owner),
        repo_id=f"{job.owner}/{name}",
        job_id=job.job_id,
        flavor=str(job.machine.flavor),
        usd_per_hour=job.machine.usd_per_hour,
        image=image,
        timeout_seconds=seconds,
        timeout_for=words,
        labels={
            "name": label(name),
            OURS: "job",
            JOB_LABEL: job.job_id,
            PROJECT_LABEL: label(job.project),
            TIMEOUT_LABEL: why,
        },
        page=options.jobs_page,
        files=files,
        own_image=own,
    )


def timeout(limits: Limits, usd_per_hour: float) -> tuple[int, EndReason, str]:
    """Return after how many seconds the Hub ends a Job, what that stands for, and both in words.

    That is later than the worker ends it itself, which counts from before it installs anything.
    """
    most = limits.seconds(usd_per_hour)
    if math.isinf(most):
        return int(LONGEST_SECONDS), EndReason.DEADLINE, "no --max-duration says otherwise"
    seconds = int(most + limits.push_seconds + LATE_SECONDS)
    if limits.max_seconds == most:
        return seconds, EndReason.DEADLINE, "--max-duration, and time to push"
    return seconds, EndReason.COST_CAP, "what --max-cost pays, and time to push"


def label(text: str) -> str:
    """Return a text as the value of a label: letters, digits, `-` and `_`."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text)[:63]
