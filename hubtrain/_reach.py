"""How a `Job` or a `Deployment` is reached: from this machine, or through an app that has it.

What is known of it is the same either way; only how it is asked about and told differs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from orchestrator.jobs.client import Client
from worker.errors import HubtrainError

if TYPE_CHECKING:
    from backends.handle import Handle
    from hubtrain._app import AppAt
    from orchestrator.api.answers import WholeJob
    from orchestrator.deploy.documents import Deployment
    from orchestrator.inference.trained import Question
    from orchestrator.jobs.records import Record
    from orchestrator.jobs.watch import Silence

OnNews = Callable[["Record"], None]
OnLine = Callable[[str], None]
OnSilence = Callable[["Silence"], None]

LOOK_SECONDS = 5.0
"""How long an app is asked to wait for a job's end before what is new is shown."""

LINES = 1000
"""Lines of output that an app is asked for at a time."""


class Reach(ABC):
    """What a job or a deployment is asked for. All may block, and raise `HubtrainError`."""

    finds: ClassVar[str]
    """What finds a job by its id, as it is written in Python."""

    @classmethod
    @abstractmethod
    def log_of(cls, job_id: str) -> str:
        """Return what to type to read what a job has printed."""

    @abstractmethod
    def now(self) -> datetime:
        """Return what time it is where the job's costs are counted."""

    @abstractmethod
    def page(self, record: Record) -> str | None:
        """Return the address of the job's page; none while there is none."""

    @abstractmethod
    def refreshed(self, record: Record) -> Record:
        """Return the job as it is now."""

    @abstractmethod
    def followed(
        self,
        record: Record,
        on_news: OnNews,
        on_line: OnLine | None,
        on_silence: OnSilence,
        timeout: float | None,
    ) -> Record:
        """Return the job once it has ended and costs nothing, or after `timeout` seconds."""

    @abstractmethod
    def lines(self, record: Record, *, follow: bool) -> Iterator[str]:
        """Yield what the job has printed; with `follow`, until it has ended."""

    @abstractmethod
    def cancelled(self, record: Record) -> Record:
        """Stop the job, and return it once it costs nothing."""

    @abstractmethod
    def deployment(self, handle: str) -> Deployment:
        """Return the deployment as it is now."""

    @abstractmethod
    def answering(self, handle: str, timeout: float) -> Deployment:
        """Return the deployment once it answers; raises after `timeout` seconds."""

    @abstractmethod
    def paused(self, handle: str) -> Deployment:
        """Stop the deployment, and return it as it is then."""

    @abstractmethod
    def removed(self, handle: str) -> None:
        """Delete the deployment."""

    @abstractmethod
    def answers(
        self, record: Record, questions: Sequence[Question], settings: Mapping[str, Any]
    ) -> list[Any]:
        """Return what the job's model answers, each question in its turn."""


class Here(Reach):
    """The jobs of this machine."""

    finds = "hubtrain.job"

    @classmethod
    def log_of(cls, job_id: str) -> str:
        return f"hubtrain logs {job_id}"

    def __init__(self, client: Client) -> None:
        self._client = client

    def now(self) -> datetime:
        return self._client.clock.now()

    def page(self, record: Record) -> str | None:
        return self._client.page(record)

    def refreshed(self, record: Record) -> Record:
        return self._client.refreshed(self._client.records.get(record.job_id))

    def followed(
        self,
        record: Record,
        on_news: OnNews,
        on_line: OnLine | None,
        on_silence: OnSilence,
        timeout: float | None,
    ) -> Record:
        from orchestrator import flow

        record = self._client.records.get(record.job_id)
        if record.settled:
            return record
        tell: dict[str, Any] = {"on_news": on_news, "on_line": on_line, "on_silence": on_silence}
        return flow.watch(self._client, record, **tell, timeout=timeout)

    def lines(self, record: Record, *, follow: bool) -> Iterator[str]:
        from orchestrator.jobs.lines import lines
        from worker.contract import from_marked

        record = self._client.records.get(record.job_id)
        return (
            text for text in lines(self._client, record, follow=follow) if not from_marked(text)
        )

    def cancelled(self, record: Record) -> Record:
        watch = self._client.watch(self._client.records.get(record.job_id))
        record = watch.cancel()
        if watch.problem is not None:
            raise watch.problem
        return record

    def deployment(self, handle: str) -> Deployment:
        from orchestrator.deploy.known import seen

        return seen(self._client, _handle(handle))

    def answering(self, handle: str, timeout: float) -> Deployment:
        from orchestrator import deploy

        deploy.wait(self._client, _handle(handle), timeout=timeout)
        return self.deployment(handle)

    def paused(self, handle: str) -> Deployment:
        from orchestrator.deploy.known import pause

        return pause(self._client, _handle(handle))

    def removed(self, handle: str) -> None:
        from orchestrator.deploy.known import remove

        remove(self._client, _handle(handle))

    def answers(
        self, record: Record, questions: Sequence[Question], settings: Mapping[str, Any]
    ) -> list[Any]:
        from orchestrator.inference.trained import answers, model_of

        known = self._client.records.get(record.job_id)
        return answers(model_of(self._client, known), questions, settings)


class There(Reach):
    """The jobs that an app has."""

    finds = "client.job"

    @classmethod
    def log_of(cls, job_id: str) -> str:
        return f'print(*{cls.finds}("{job_id}").logs(), sep="\\n")'

    def __init__(self, app: AppAt) -> None:
        self._app = app
        self._pages: dict[str, str | None] = {}

    def found(self, name: str, wait_seconds: float = 0.0) -> Record:
        """Return a job by its name, once it has ended or after so many seconds."""
        from orchestrator.api.answers import WholeJob

        asked = {"job": name, "wait_seconds": wait_seconds}
        return self._read(self._app.asked("record", asked, WholeJob))

    def all(self, *, refresh: bool, limit: int) -> list[Record]:
        """Return the app's jobs, newest first."""
        from orchestrator.api.answers import WholeJobs

        found = self._app.asked("records", {"refresh": refresh, "limit": limit}, WholeJobs)
        return [self._read(one) for one in found.jobs]

    def _read(self, told: WholeJob) -> Record:
        from orchestrator.jobs.records import Record

        self._pages[told.spec.job_id] = told.page
        how: dict[str, Any] = {"asked_at": told.asked_at, "unanswered": told.unanswered}
        return Record(told.spec, told.events, told.hub, **how)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def page(self, record: Record) -> str | None:
        return self._pages.get(record.job_id)

    def refreshed(self, record: Record) -> Record:
        return self.found(record.job_id)

    def followed(
        self,
        record: Record,
        on_news: OnNews,
        on_line: OnLine | None,
        on_silence: OnSilence,
        timeout: float | None,
    ) -> Record:
        clock, printed = self._app.clock, 0
        until = None if timeout is None else clock.monotonic() + timeout
        while not record.settled:
            left = LOOK_SECONDS if until is None else min(LOOK_SECONDS, until - clock.monotonic())
            if left <= 0:
                break
            now = self.found(record.job_id, left)
            if len(now.events) > len(record.events):
                on_news(now)
            if bool(now.unanswered) != bool(record.unanswered):
                on_silence(_silence(now if now.unanswered else record, self.now(), now.unanswered))
            record = now
            printed = self._printed(record, printed, on_line) if on_line else 0
        return record

    def lines(self, record: Record, *, follow: bool) -> Iterator[str]:
        after = 0
        while True:
            ended = follow and self.found(record.job_id, LOOK_SECONDS).settled
            found = self._page_of_lines(record, after)
            while found.lines:
                yield from found.lines
                after = found.next
                found = self._page_of_lines(record, after)
            if ended or not follow:
                return

    def cancelled(self, record: Record) -> Record:
        from orchestrator.jobs.summary import JobSummary

        self._app.asked("cancel", {"job": record.job_id}, JobSummary)
        return self.found(record.job_id)

    def deployment(self, handle: str, wait_seconds: float = 0.0) -> Deployment:
        from orchestrator.deploy.documents import Deployment

        asked = {"deployment": handle, "wait_seconds": wait_seconds}
        return self._app.asked("deployment", asked, Deployment)

    def answering(self, handle: str, timeout: float) -> Deployment:
        clock = self._app.clock
        until, now = clock.monotonic() + timeout, self.deployment(handle)
        while not now.ready:
            if (left := until - clock.monotonic()) <= 0:
                from orchestrator.deploy import unready

                raise unready(handle, now.stage)
            now = self.deployment(handle, min(LOOK_SECONDS, left))
        return now

    def paused(self, handle: str) -> Deployment:
        from orchestrator.deploy.documents import Deployment

        return self._app.asked("pause_deployment", {"deployment": handle}, Deployment)

    def removed(self, handle: str) -> None:
        from orchestrator.deploy.documents import RemovedDeployment

        self._app.asked("remove_deployment", {"deployment": handle}, RemovedDeployment)

    def answers(
        self, record: Record, questions: Sequence[Question], settings: Mapping[str, Any]
    ) -> list[Any]:
        from orchestrator.api.answers import Replies

        said = [dict(one) if isinstance(one, Mapping) else one for one in questions]
        asked = {"job": record.job_id, "questions": said, "settings": dict(settings)}
        return self._app.asked("ask", asked, Replies).answers

    def _printed(self, record: Record, after: int, on_line: OnLine) -> int:
        """Tell of the lines that are new, and return how many there are."""
        while True:
            try:
                found = self._page_of_lines(record, after)
            except HubtrainError:  # the next look may have them
                return after
            if not found.lines:
                return after
            for line in found.lines:
                on_line(line)
            after = int(found.next)

    def _page_of_lines(self, record: Record, after: int) -> Any:
        from orchestrator.api.answers import LogLines

        asked = {"job": record.job_id, "after": after, "limit": LINES}
        return self._app.asked("logs", asked, LogLines)


def _silence(record: Record, now: datetime, why: str) -> Silence:
    """Return since when an app does not hear of a job, as it said last; `why` is empty again."""
    from orchestrator.jobs.watch import Silence

    return Silence(record.asked_at or now, now, why)


def _handle(handle: str) -> Handle:
    from backends.handle import Handle

    return Handle.parse(handle)
