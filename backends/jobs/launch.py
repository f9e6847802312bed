"""Runs a Job exactly once: code first, then the one call that costs.

The Hub gives every Job that is asked for, so the call is made by whoever has the right to, which is
a tag in the repo of code: the Hub makes each name once. Answers that are lost are looked for by
label and not asked for again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from backends.base import OnProgress
from backends.errors import LaunchFailed
from backends.hub.creating import Creating
from backends.hub.files import amount, commit, delete, has_files, once
from backends.hub.space import PAGE_PORT
from backends.jobs.image import OWN, OwnImage, is_image
from backends.jobs.request import COMMAND, JOB_LABEL, KIND, MOUNT, OURS, JobRequest
from worker.clock import Clock
from worker.contract import JOB_FILE
from worker.errors import HubtrainError, HubUnreachable, NotThere, NoWrite
from worker.hubclient import explained, patiently
from worker.hubjobs import ENDED

if TYPE_CHECKING:
    from huggingface_hub import HfApi, JobInfo

T = TypeVar("T")

LOOKS, LOOK_SECONDS = 20, 0.5
"""How often, and at what intervals, is looked for the Job of a launch that has the right."""

MOST_RIGHTS = 5
"""Launches cut short in that moment, one after the other, after which it is given up."""


class Launch(Creating):
    """One launch of one request."""

    def __init__(
        self,
        api: HfApi,
        request: JobRequest,
        secrets: Mapping[str, str],
        clock: Clock,
        on_progress: OnProgress,
    ) -> None:
        self.api, self.request, self.secrets = api, request, secrets
        self.clock, self.on_progress = clock, on_progress
        self.image = OwnImage(api, request.own_repo, clock, request.job_id)
        self.made = False
        self.asked = False
        """Whether a Job may have been asked for."""

    def run(self) -> JobInfo:
        """Do what is not done yet. Raises `LaunchFailed` when nothing of it is left.

        A Hub that stops answering raises `HubUnreachable`; the same launch then goes on.
        """
        try:
            return self._run()
        except BaseException as error:
            refused = isinstance(error, HubtrainError) and not isinstance(error, HubUnreachable)
            if self.asked and not refused:
                raise  # there may be a Job, which needs the repo
            if self.made or self.asked:
                self._undo(error)
            if isinstance(error, HubtrainError) and (self.made or self.asked):
                raise LaunchFailed(error.message, fix=error.fix, reason=error.reason) from error
            raise

    def _run(self) -> JobInfo:
        self._with_image()
        revision = self._sent()
        for n in count(1):
            if found := self._one():
                return found
            if n > MOST_RIGHTS:
                break
            if self._has_right(n, revision):
                self._with_image()
                self.on_progress(f"asking for a Job on {self.request.flavor}", None)
                self._once(lambda: self._ask(revision), lambda: bool(self.launched()))
            elif found := self._of_another():
                return found
        raise LaunchFailed(
            f"Other launches of {self.request.job_id} do not come to an end.",
            fix="Run the same command again.",
        )

    def _with_image(self) -> None:
        """Have the image there and noted as used, where hubtrain made it: for this job, or others.

        Where that was long ago, as when the laptop slept since, somebody may have removed it.
        """
        request, image = self.request, self.image
        if not is_image(request.own_repo) or image.noted_lately:
            return
        if request.own_image:
            image.make(request.own_image, self.on_progress)
            return
        with suppress(NoWrite):  # whoever may not note it has another's, of another account
            if not image.note(request.timeout_seconds):
                raise LaunchFailed(
                    f"The image {request.image} is not there.",
                    fix=f"--jobs-image {OWN} builds one, or leave --jobs-image out.",
                )

    def launched(self) -> list[JobInfo]:
        """Return the Jobs there are of this job, oldest first."""
        wanted = {JOB_LABEL: self.request.job_id}
        jobs = self._look(
            lambda: list(self.api.list_jobs(namespace=self.request.namespace, labels=wanted))
        )
        ours = [job for job in jobs if wanted.items() <= (job.labels or {}).items()]
        return sorted(ours, key=lambda job: (str(job.created_at), job.id))

    def _one(self) -> JobInfo | None:
        """Return the Job there is; should there be several after all, the oldest stays."""
        jobs = self.launched()
        for job in jobs[1:]:
            stop(self.api, job, self.clock)
            forget(self.api, job, self.clock)
        return jobs[0] if jobs else None

    def _sent(self) -> str:
        """Make the repo and send its files, as far as that is not done; returns the commit."""
        request = self.request
        self.on_progress(f"sending {amount(request.files)}", None)
        if not self._is_ours():
            self._once(self._create, self._is_ours)
        if not self._has_files():
            self._once(self._commit, self._has_files)
        return str(self._look(lambda: self.api.repo_info(request.repo_id, repo_type=KIND)).sha)

    def _make(self) -> None:
        repo_id = self.request.repo_id
        with explained(f"creating the private dataset {repo_id}"):
            self.api.create_repo(repo_id, repo_type=KIND, private=True)

    def _is_ours(self) -> bool:
        """Look whether the repo is there. Raises `LaunchFailed` if it holds anything else."""
        repo_id = self.request.repo_id
        try:
            names = self._look(lambda: self.api.list_repo_files(repo_id, repo_type=KIND))
        except NotThere:
            return False
        if JOB_FILE not in names and any(name != ".gitattributes" for name in names):
            raise LaunchFailed(
                f"There is already a dataset {repo_id}, and it is not this job's.",
                fix="Choose another --project-name.",
            )
        return True

    def _commit(self) -> None:
        request = self.request
        commit(self.api, request.repo_id, KIND, request.files, f"Job {request.job_id}")

    def _has_files(self) -> bool:
        request = self.request
        return self._look(lambda: has_files(self.api, request.repo_id, KIND, request.files))

    def _has_right(self, number: int, revision: str) -> bool:
        """Take the right to ask for a Job. False if it is taken, or if the answer is lost."""
        repo_id = self.request.repo_id
        try:
            with explained(f"preparing {repo_id}"):
                self.api.create_tag(
                    repo_id, repo_type=KIND, tag=f"launch-{number}", revision=revision
                )
        except HubUnreachable:
            return False
        except HubtrainError as error:
            answer = getattr(error.__cause__, "response", None)
            if answer is None or answer.status_code != HTTPStatus.CONFLICT:
                raise
            return False
        return True

    def _of_another(self) -> JobInfo | None:
        """Wait for the Job of a launch that has the right; none if none comes of it."""
        for _ in range(LOOKS):
            if found := self._one():
                return found
            self.clock.sleep(LOOK_SECONDS)
        return None

    def _ask(self, revision: str) -> None:
        from huggingface_hub import Volume

        request = self.request
        code = Volume(
            type=KIND, source=request.repo_id, mount_path=MOUNT, revision=revision, read_only=True
        )
        self.asked = True
        with explained(f"running a Job on {request.flavor} under {request.namespace}"):
            self.api.run_job(
                image=request.image,
                command=list(COMMAND),
                env=request.environment,
                secrets=dict(self.secrets),
                flavor=request.flavor,
                timeout=request.timeout_seconds,
                labels=dict(request.labels),
                volumes=[code],
                expose=[PAGE_PORT] if request.page else None,
                namespace=request.namespace,
            )

    def _once(self, act: Callable[[], None], done: Callable[[], bool]) -> None:
        once(f"launching {self.request.job_id}", act, done, self.clock)

    def _look(self, ask: Callable[[], T]) -> T:
        return patiently(f"looking for {self.request.repo_id}", ask, self.clock)

    def _undo(self, error: BaseException) -> None:
        """Remove the repo, which no Job has. Raises `HubUnreachable` if that cannot be done."""
        try:
            if self.asked and self.launched():
                return
            delete(self.api, self.request.repo_id, KIND, self.clock)
        except HubtrainError as stuck:
            raise HubUnreachable(
                f"{error} The dataset {self.request.repo_id} may be left: {stuck.message}".strip(),
                fix="Run the same command again to go on with it.",
            ) from error


def stop(api: HfApi, job: JobInfo, clock: Clock) -> None:
    """Cancel a Job; one that has ended is left as it is."""
    if job.status.stage in ENDED:
        return
    which = {"job_id": job.id, "namespace": job.owner.name}
    patiently(f"cancelling the Job {job.id}", lambda: api.cancel_job(**which), clock)


def forget(api: HfApi, job: JobInfo, clock: Clock) -> None:
    """Take our labels off a Job, which the Hub does not delete: it is not ours any more."""
    which = {"job_id": job.id, "namespace": job.owner.name}
    kept = {name: v for name, v in (job.labels or {}).items() if not name.startswith(OURS)}
    patiently(
        f"relabelling the Job {job.id}",
        lambda: api.update_job_labels(labels=kept, **which),
        clock,
    )
