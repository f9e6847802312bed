"""Hugging Face Jobs: a program that runs once, on rented hardware, and is billed until it ends.

What it runs is a commit of a private dataset, mounted into a public image; what the image lacks is
installed when it starts. The Hub itself ends a Job at its time limit. Jobs are not deleted there:
`remove` takes away what they ran and our labels, after which none of them is ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any, ClassVar

from backends.base import Backend, Flavor, Found, Need, OnProgress, Status, silent
from backends.errors import BackendError, JobGone
from backends.handle import Handle
from backends.hub import logs
from backends.hub.files import delete, recalled
from backends.hub.hardware import SHORT_NAMES, flavors
from backends.hub.notes import Notes
from backends.hub.refusals import absent, shown
from backends.image_keeping import KeepsImages, KeptImage
from backends.jobs.image import NAME as IMAGE_NAME
from backends.jobs.image import OWN, SPACES, images, is_image, running
from backends.jobs.launch import Launch, forget, stop
from backends.jobs.options import JobsOptions
from backends.jobs.request import (
    JOB_LABEL,
    KIND,
    MOUNT,
    OURS,
    PAGE_USD_PER_HOUR,
    TIMEOUT_LABEL,
    JobRequest,
    plan,
)
from worker.account import RUN_JOBS
from worker.clock import Clock
from worker.contract import MARK, EndReason, JobSpec
from worker.errors import NotThere
from worker.hubclient import explained, hub, patiently
from worker.hubjobs import ENDED, end_reason, page_key

if TYPE_CHECKING:
    from huggingface_hub import HfApi, JobInfo

_STARTED = "===== Job started at "
"""How the line begins that the Hub itself puts before a Job's own."""


class Jobs(Backend[JobRequest], KeepsImages):
    """A Job of the Hub per job, found by the Hub's id of it, or by its labels."""

    name = "jobs"
    noun = "Job"
    sees_my_files = False
    keeps_disk = False
    bills = True
    on_hub = True
    preferred_because = (
        "it costs nothing once its program has ended, the Hub itself ends it at its time limit, and"
        " nothing is built before it starts"
    )
    needs = (Need("credit", "Jobs need pre-paid credit", "Jobs allowed", instead="plan"),)
    permissions = (RUN_JOBS,)
    short_names: ClassVar[Mapping[str, str]] = SHORT_NAMES
    options = JobsOptions

    def __init__(self, token: str | None = None, clock: Clock | None = None) -> None:
        super().__init__(token, clock)
        self.asked = JobsOptions()

    def having(self, options: Any, flavor: str | None) -> Jobs:
        """Return Jobs for a job with these options."""
        one = Jobs(self.token, self.clock)
        one.asked = options
        return one

    @property
    def api(self) -> HfApi:
        """The Hub, as the owner of the token."""
        return hub(self.token)

    def flavors(self) -> list[Flavor]:
        """Return what the Hub rents out for Jobs, cheapest first. Asks the Hub."""
        return patiently(
            "asking for hardware and prices",
            lambda: flavors(self.api.list_jobs_hardware()),
            self.clock,
        )

    def given(self, flavor: Flavor, options: Any) -> Flavor:
        """Add what the Hub takes for the address of a page."""
        more = PAGE_USD_PER_HOUR if options.jobs_page else 0.0
        return replace(flavor, usd_per_hour=round(flavor.usd_per_hour + more, 4))

    def writes(self, owner: str, project: str) -> tuple[str, ...]:
        """Return the dataset that holds what the Job runs, and the Space of an image of its own."""
        own = (f"{owner}/{IMAGE_NAME}-…",) if self.asked.jobs_image == OWN else ()
        return (f"{owner}/{project}-…", *own)

    def images(self, owners: Iterable[str]) -> list[KeptImage]:
        """Return the images of our own of these accounts."""
        owners = list(owners)
        jobs = running(self.api, owners, self.clock)
        return [one for owner in owners for one in images(self.api, owner, jobs, self.clock)]

    def remove_image(self, name: str) -> None:
        """Delete the Space of an image, unless a Job runs in it now, or is about to."""
        repo_id = name.removeprefix(SPACES)
        if not is_image(repo_id):
            raise BackendError(f"{name} was not made by hubtrain and is left alone.")
        notes = Notes(self.api, repo_id, "space", self.clock)
        with suppress(NotThere):
            if not notes.may_remove():
                raise BackendError(f"{name} stays: a job is being launched in it.")
            for one in self.images([repo_id.partition("/")[0]]):  # since it was listed, say
                if one.name == name and one.used_by:
                    notes.stays()
                    raise BackendError(f"{name} stays: {', '.join(one.used_by)} runs in it.")
            delete(self.api, repo_id, "space", self.clock)

    def plan(self, job: JobSpec) -> JobRequest:
        """Return the Job that runs `job`."""
        return plan(job, self.options_of(job))

    def launch(
        self, request: JobRequest, secrets: Mapping[str, str], on_progress: OnProgress = silent
    ) -> Handle:
        """Send what it runs, then ask for the Job."""
        return _handle(Launch(self.api, request, secrets, self.clock, on_progress).run())

    def find(self, request: JobRequest) -> Handle | None:
        """Return the Job with this job's label."""
        jobs = Launch(self.api, request, {}, self.clock, silent).launched()
        return _handle(jobs[0]) if jobs else None

    def status(self, handle: Handle) -> Status:
        """Ask the Hub about the Job."""
        with explained(f"asking about {handle}"):
            return status_of(self._job(handle))

    def _job(self, handle: Handle) -> JobInfo:
        """Return a Job of ours. Raises `JobGone` for one that was removed, or never was ours."""
        owner, _, job_id = handle.path.partition("/")
        gone = f"The Hub has no Job {handle.path} of hubtrain."
        try:
            which = {"job_id": job_id, "namespace": owner}
            job = shown(handle, lambda: self.api.inspect_job(**which))
            with explained(f"asking about {handle}"):
                if JOB_LABEL not in (job.labels or {}) or job.status.stage == "DELETED":
                    raise JobGone(gone)
                return job
        except NotThere as error:
            raise absent(handle, gone, self.api, self.clock) from error

    def logs(self, handle: Handle, *, skip: int = 0, follow: bool = False) -> Iterator[str]:
        """Yield the worker's lines; following survives dropped streams."""
        with suppress(JobGone):
            self._job(handle)
            log = f"jobs/{handle.path}/logs"
            if follow:
                lines = logs.follow(log, self.token, lambda: self._is_alive(handle), self.clock)
            else:
                lines = logs.read(log, self.token)
            yield from islice((s for s in lines if not s.startswith(_STARTED)), skip, None)

    def build_logs(self, handle: Handle) -> Iterator[str]:
        """Yield what was written before the worker's first event: what installing came to."""
        return takewhile(lambda line: not line.startswith(MARK), self.logs(handle))

    def _is_alive(self, handle: Handle) -> bool:
        return self.status(handle).alive

    def page(self, handle: Handle, url: str) -> str | None:
        """Add what opens the page, where it has an address of its own; the Hub's needs nothing."""
        if self.token is None or "--" not in url:  # which is in addresses of ports alone
            return url
        return f"{url}?key={page_key(self.token, handle.path.partition('/')[2])}"

    def recall(self, handle: Handle) -> JobSpec:
        """Read the job from the commit that its machine has."""
        job = self._job(handle)
        code = next((v for v in job.volumes or () if v.mount_path == MOUNT), None)
        if code is None:
            raise JobGone(f"Nothing is mounted in {handle} that tells its job.")
        return recalled(self.api, code.source, KIND, handle, code.revision)

    def maker(self, handle: Handle) -> str | None:
        """Return who started the Job."""
        by = self._job(handle).initiator
        return by.name if by and by.type == "user" else None

    def cancel(self, handle: Handle) -> None:
        """Cancel the Job. One that has ended, or is gone, costs nothing already."""
        with suppress(JobGone):
            stop(self.api, self._job(handle), self.clock)

    def remove(self, handle: Handle) -> None:
        """Cancel the Job, delete what it ran, and take our labels off it."""
        with suppress(JobGone):
            job = self._job(handle)
            stop(self.api, job, self.clock)
            for code in (v for v in job.volumes or () if v.mount_path == MOUNT):
                delete(self.api, code.source, KIND, self.clock)
            forget(self.api, job, self.clock)

    def sweep(self, owner: str) -> list[Found]:
        """Return every Job of `owner` with our labels, running or not."""
        return patiently(f"listing the Jobs of {owner}", lambda: list(self._of(owner)), self.clock)

    def _of(self, owner: str) -> Iterator[Found]:
        for job in self.api.list_jobs(namespace=owner, labels={OURS: "job"}):
            if name := (job.labels or {}).get(JOB_LABEL):
                yield Found(_handle(job), name, status_of(job))


def status_of(job: JobInfo) -> Status:
    """Return what the Hub says of a Job, as a status."""
    stage = str(getattr(job.status.stage, "value", job.status.stage))
    why = (job.labels or {}).get(TIMEOUT_LABEL, EndReason.DEADLINE)
    message = job.status.message or ""
    alive = stage not in ENDED
    return Status(
        alive=alive,
        costing=alive and stage != "SCHEDULING",
        stage=stage,
        detail=message,
        url=(job.status.expose_urls or [job.url])[0],
        reason=end_reason(stage, message, EndReason(why)),
        waiting=stage == "SCHEDULING",
    )


def _handle(job: JobInfo) -> Handle:
    return Handle(Jobs.name, f"{job.owner.name}/{job.id}")


BACKEND = Jobs
