"""One user's side of all jobs: the clock, the token, the records here, and the backends.

It prints nothing and knows no surface; the terminal, the Python API and the flow all work with it.
What a job is made of is imported on use: a list of jobs is shown without it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from worker.clock import Clock, SystemClock
from worker.home import home
from worker.placeholders import is_placeholder

if TYPE_CHECKING:
    from backends.base import Backend
    from backends.deploy.base import Place
    from backends.handle import Handle
    from orchestrator.hosted import Guest
    from orchestrator.jobs.deployments import Deployments
    from orchestrator.jobs.glance import Glance
    from orchestrator.jobs.pages import Pages
    from orchestrator.jobs.records import Record, Records
    from orchestrator.jobs.watch import Watch
    from worker.errors import HubtrainError


@dataclass(kw_only=True)
class Client:
    """The jobs of one user, from this machine."""

    clock: Clock = field(default_factory=SystemClock)
    given_token: str | None = field(default=None, repr=False)
    """The Hub token to use; none is that of the environment or of `hf auth login`."""

    guest: Guest | None = None
    """Who it is, where several use this machine and may not reach into it; else none."""

    @cached_property
    def records(self) -> Records:
        """The jobs this machine knows."""
        from orchestrator.jobs.records import Records

        return Records(home())

    @cached_property
    def deployments(self) -> Deployments:
        """The deployments this machine knows."""
        from orchestrator.jobs.deployments import Deployments

        return Deployments(self.records)

    @cached_property
    def pages(self) -> Pages:
        """What jobs have printed, page by page."""
        from orchestrator.jobs.pages import Pages

        return Pages()

    @cached_property
    def token(self) -> str | None:
        """The Hub token; none if there is none, which is no error yet."""
        if is_placeholder(os.environ.get("HF_TOKEN", "")):
            del os.environ["HF_TOKEN"]  # or whoever asks for the login would get it
        if token := (self.given_token or os.environ.get("HF_TOKEN", "")).strip():
            return _sendable(token)
        from huggingface_hub import get_token

        return get_token()

    def accounts(self) -> list[str]:
        """Return the user's own name and those of their organisations; raises `HubtrainError`."""
        if self.token is None:
            return []
        from worker.account import who
        from worker.hubclient import hub

        return list(who(hub(self.token), self.clock).namespaces)

    def glances(self) -> list[Glance]:
        """Return every job this machine knows at a glance, newest first."""
        from orchestrator.jobs.glance import kept

        known = kept(home())
        return self.records.glances() if known is None else known

    def charged(self, jobs: Sequence[Glance]) -> list[Glance]:
        """Return what money is counted by: these jobs, and removed ones that have cost some."""
        return [*jobs, *self.records.spent()]

    def asked(self, jobs: Sequence[Glance]) -> list[Glance]:
        """Return these jobs as their providers know them now, where that may be something new."""
        open_jobs = [job for job in jobs if not job.settled]
        if not open_jobs:
            return list(jobs)
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(8) as pool:
            known = {job.job_id: job for job in pool.map(self.asked_of, open_jobs)}
        return [known.get(job.job_id, job) for job in jobs]

    def asked_of(self, job: Glance) -> Glance:
        """Return a job as its provider knows it now."""
        from orchestrator.jobs.seen import glance_of

        return glance_of(self.refreshed(self.records.get(job.job_id)))

    @property
    def has_deployed(self) -> bool:
        """Whether a deployment of this machine's is on record."""
        from orchestrator.jobs.glance import any_deployment

        return any_deployment(home())

    def record(self, name: str) -> Record:
        """Return a job by its id, the start of its id, its project, `latest`, or its handle."""
        if "://" in name:
            from backends.handle import Handle

            known = (one.job_id for one in self.records.glances() if one.handle == name)
            job_id = next(known, None)
            return self.records.get(job_id) if job_id else self._adopt(Handle.parse(name))
        return self.records.get(name)

    def backend(self, record: Record) -> Backend[Any]:
        """Return the backend that has the job."""
        from backends.handle import Handle

        handle = record.story.handle
        name = Handle.parse(handle).backend if handle else record.spec.machine.backend
        return self.provider(name)

    def places(self) -> list[str]:
        """Return the backends that this user may use, by name."""
        import backends

        return [n for n in backends.names() if self.guest is None or backends.load(n).on_hub]

    def provider(self, name: str) -> Backend[Any]:
        """Return a backend by name, as this user's. Raises `BadConfig` for one they may not use."""
        import backends

        if self.guest is not None:
            from orchestrator import hosted

            hosted.refuse({}, {}, name)
        return backends.load(name)(self.token, self.clock)

    def deployment(self, name: str) -> Handle | None:
        """Return the deployment of a handle, known here or not, or of a name; none if none is.

        Raises `BadConfig` for a name that is a job's, too.
        """
        import backends.deploy
        from backends.handle import Handle
        from worker.errors import BadConfig

        if "://" in name:
            return Handle.parse(name) if backends.deploy.of_handle(name) else None
        handle = self.deployments.named(name)
        if handle is not None and (jobs := self.records.ids(name)):
            raise BadConfig(
                f"{name} is a deployment and a job: {', '.join([str(handle), *jobs])}.",
                fix="Type the one that you mean.",
            )
        return handle

    def place(self, handle: Handle) -> Place[Any]:
        """Return where a deployment is, as this user's. Raises `BadConfig`."""
        import backends.deploy
        from worker.errors import BadConfig

        place = backends.deploy.of_handle(str(handle))
        if place is None:
            raise BadConfig(f"{handle} is no deployment.", fix="hubtrain jobs lists them.")
        return place(self.token, self.clock)

    def watch(self, record: Record) -> Watch:
        """Return a watch on the job, which so far tells nobody. Raises `HubtrainError`."""
        from orchestrator.jobs.watch import Watch
        from worker.errors import HubtrainError
        from worker.hubclient import endpoint

        if other := self.elsewhere(record):
            raise HubtrainError(
                f"{record.job_id} is a job of {other}, and this is {endpoint()}.",
                fix=f"Set HF_ENDPOINT={other}, then type the same command.",
            )
        return Watch(record, self.backend(record), self.records, self.clock)

    def refreshed(self, record: Record) -> Record:
        """Return the job as its provider knows it now.

        As it was last known if none answers; `unanswered` then says why.
        """
        from worker.errors import HubtrainError

        if record.settled:
            return record
        try:
            watch = self.watch(record)
            known, problem = watch.refresh(), watch.problem
        except HubtrainError as error:
            known, problem = self.records.get(record.job_id), error
        known = self.records.get(known.job_id)
        return replace(known, unanswered=_said(problem)) if problem else known

    def page(self, record: Record) -> str | None:
        """Return the address of the job's page as its owner opens it; none while there is none."""
        from backends.handle import Handle

        story = record.story
        if story.url is None or story.handle is None:
            return None
        return self.backend(record).page(Handle.parse(story.handle), story.url)

    def elsewhere(self, record: Record) -> str:
        """Return the address of the job's Hub if it is not the present one, else ""."""
        import backends
        from worker.hubclient import endpoint

        if record.hub in {"", endpoint()}:
            return ""
        return record.hub if backends.load(record.spec.machine.backend).on_hub else ""

    def _adopt(self, handle: Handle) -> Record:
        """Take over a job that another laptop launched."""
        spec = self.provider(handle.backend).recall(handle)
        return self.records.adopt(spec, str(handle), self.clock.now())


def _said(problem: HubtrainError) -> str:
    """Return why a job could not be asked about, with what to type where that may help now."""
    from worker.errors import HubUnreachable

    return problem.message if isinstance(problem, HubUnreachable) else str(problem)


def _sendable(token: str) -> str:
    from worker.errors import BadConfig

    if not token.isascii() or not token.isprintable() or " " in token:
        raise BadConfig(
            "this is no Hub token: it holds a blank, a line break or a letter that none has.",
            fix="Copy it again, whole and alone; it begins with hf_.",
        )
    return token
