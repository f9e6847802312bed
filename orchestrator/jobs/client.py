"""The jobs of one user: their token, the records on this machine, and the backends.

It prints nothing and knows no surface; the terminal, the Python API and the flow all use it.
Modules are imported on use, so that a list of jobs appears fast.
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
    """The user, if several share this machine and may not access its files; else none."""

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
        """The output of jobs, page by page."""
        from orchestrator.jobs.pages import Pages

        return Pages()

    @cached_property
    def token(self) -> str | None:
        """The Hub token, or none: some jobs need no token."""
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
        """Return a summary of every job this machine knows, newest first."""
        from orchestrator.jobs.glance import kept

        known = kept(home())
        return self.records.glances() if known is None else known

    def charged(self, jobs: Sequence[Glance]) -> list[Glance]:
        """Return the jobs that count for costs: these, and removed ones that have cost money."""
        return [*jobs, *self.records.spent()]

    def asked(self, jobs: Sequence[Glance]) -> list[Glance]:
        """Return these jobs, the unfinished ones refreshed from their providers."""
        open_jobs = [job for job in jobs if not job.settled]
        if not open_jobs:
            return list(jobs)
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(8) as pool:
            known = {job.job_id: job for job in pool.map(self.asked_of, open_jobs)}
        return [known.get(job.job_id, job) for job in jobs]

    def asked_of(self, job: Glance) -> Glance:
        """Return the job, refreshed from its provider."""
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
        """Return the backend that the job runs on."""
        from backends.handle import Handle

        handle = record.story.handle
        name = Handle.parse(handle).backend if handle else record.spec.machine.backend
        return self.provider(name)

    def places(self) -> list[str]:
        """Return the backends that this user may use, by name."""
        import backends

        return [n for n in backends.names() if self.guest is None or backends.load(n).on_hub]

    def provider(self, name: str) -> Backend[Any]:
        """Return the named backend with this user's token. Raises `BadConfig` if not allowed."""
        import backends

        if self.guest is not None:
            from orchestrator import hosted

            hosted.refuse({}, {}, name)
        return backends.load(name)(self.token, self.clock)

    def deployment(self, name: str) -> Handle | None:
        """Return the deployment with this handle or name, or none. A handle need not be on record.

        Raises `BadConfig` if a job has the same name.
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
        """Return the place of a deployment, with this user's token. Raises `BadConfig`."""
        import backends.deploy
        from worker.errors import BadConfig

        place = backends.deploy.of_handle(str(handle))
        if place is None:
            raise BadConfig(f"{handle} is no deployment.", fix="hubtrain jobs lists them.")
        return place(self.token, self.clock)

    def watch(self, record: Record) -> Watch:
        """Return a watch on the job, without callbacks so far. Raises `HubtrainError`."""
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
        """Return the job, refreshed from its provider.

        If the provider does not answer, it is the job as last known; `unanswered` says why.
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
        """Return the address of the job's page for its owner, or none while it has no page."""
        from backends.handle import Handle

        story = record.story
        if story.url is None or story.handle is None:
            return None
        return self.backend(record).page(Handle.parse(story.handle), story.url)

    def elsewhere(self, record: Record) -> str:
        """Return the address of the job's Hub if it differs from the current one, else ""."""
        import backends
        from worker.hubclient import endpoint

        if record.hub in {"", endpoint()}:
            return ""
        return record.hub if backends.load(record.spec.machine.backend).on_hub else ""

    def _adopt(self, handle: Handle) -> Record:
        """Record a job that another laptop launched."""
        spec = self.provider(handle.backend).recall(handle)
        return self.records.adopt(spec, str(handle), self.clock.now())


def _said(problem: HubtrainError) -> str:
    """Return why the provider could not be asked, with the fix if one may help now."""
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
