"""A job as the Python API shows it: what is known of it, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hubtrain._arguments import in_arguments, typed
from hubtrain._errors import WaitTimeout
from hubtrain._reach import Here, Reach
from orchestrator.jobs.client import Client
from orchestrator.jobs.records import Record
from worker.contract import EndReason, State
from worker.errors import HubtrainError

if TYPE_CHECKING:
    from orchestrator.jobs.watch import Silence


class Job:
    """One job, as it was last known. `refresh` and `wait` ask how it is now.

    Made by `train`, `job` and `jobs`, of this module and of a `Client`.
    """

    def __init__(self, client: Client | Reach, record: Record) -> None:
        self._reach = client if isinstance(client, Reach) else Here(client)
        self._record = record

    def __repr__(self) -> str:
        return f"<hubtrain.Job {self.id} {self.project!r} {self.state}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def id(self) -> str:
        """Six characters that name the job, on this machine and in `hubtrain jobs`."""
        return self._record.job_id

    @property
    def handle(self) -> str | None:
        """Name that finds the job from any machine; none before it was launched."""
        return self._record.story.handle

    @property
    def project(self) -> str:
        """The project's name: that of the model."""
        return self._record.spec.project

    @property
    def task(self) -> str:
        """The task's name."""
        return self._record.spec.task

    @property
    def state(self) -> State:
        """`created`, `queued`, `running`, `succeeded`, `failed`, `cancelled` or `lost`."""
        return self._record.story.state

    @property
    def ended(self) -> bool:
        """Whether the job has ended, well or not."""
        return self.state.final

    @property
    def reason(self) -> EndReason | None:
        """Why the job ended; none while it has not."""
        return self._record.story.reason

    @property
    def message(self) -> str:
        """What went wrong, in a sentence; empty if nothing did."""
        return self._record.story.message

    @property
    def progress(self) -> float:
        """Share of the training steps that are done, from 0 to 1."""
        steps = self._record.story.progress
        return steps.step / max(1, steps.total_steps) if steps else 0.0

    @property
    def checkpoint(self) -> int | None:
        """Step of the last checkpoint that outlives the job's machine; none before the first.

        A job that ends without its model is gone on with from there, by `resume`.
        """
        from orchestrator.jobs.resumable import checkpoint_kept

        kept = checkpoint_kept(self._record)
        return kept.step if kept else None

    @property
    def metrics(self) -> dict[str, float]:
        """The last value of each measurement, such as `loss` and `valid_loss`."""
        return dict(self._record.story.metrics)

    @property
    def history(self) -> list[dict[str, float]]:
        """All measurements in order, each with its `step`: what a curve is drawn from."""
        return [{"step": m.step, **m.values} for m in self._record.story.history]

    @property
    def model(self) -> str | None:
        """Repo on the Hub, or folder of this machine, that holds the model; none before."""
        story = self._record.story
        return story.pushed.repo_id if story.pushed else story.output

    @property
    def url(self) -> str | None:
        """Address of the job's page; none while there is none. It may hold a key: keep it."""
        return self._reach.page(self._record)

    @property
    def cost(self) -> float:
        """US dollars spent on its machine so far, by the provider's price."""
        record = self._record
        now = record.known_at(self._reach.now())
        return record.story.cost(record.spec.machine.usd_per_hour, now)

    @property
    def unanswered(self) -> str:
        """Why its provider could not be asked the last time; empty if it answered."""
        return self._record.unanswered

    def to_dict(self) -> dict[str, Any]:
        """Return all that is known of it: the document of `hubtrain status --json`."""
        from orchestrator.jobs.summary import summary

        return summary(self._record, self._reach.now())

    def refresh(self) -> Job:
        """Ask once how the job is now, and return it.

        If its provider does not answer the job is as it was last known, and `unanswered` says why.
        """
        self._record = self._reach.refreshed(self._record)
        return self

    def wait(
        self,
        timeout: float | None = None,
        *,
        on_update: Callable[[Job], None] | None = None,
        on_line: Callable[[str], None] | None = None,
        on_silence: Callable[[str], None] | None = None,
    ) -> Job:
        """Wait until the job has ended and its machine costs nothing; returns the job.

        Whether it ended well is in `state`; `result` raises if it did not. `on_update` is called
        with the job whenever something is new, `on_line` with every line of its output,
        `on_silence` with a sentence when its provider is out of reach, since when and why, and when
        it answers again. Ctrl-C leaves the job running. Raises `WaitTimeout` after `timeout`
        seconds.
        """
        typed(timeout, (int, float), "timeout", "600.0, in seconds")

        def news(record: Record) -> None:
            self._record = record
            if on_update is not None:
                on_update(self)

        def silence(found: Silence) -> None:
            if on_silence is not None:
                on_silence(found.said)

        self._record = self._reach.followed(self._record, news, on_line, silence, timeout)
        if not self.ended:
            raise WaitTimeout(f"{self.id} has not ended within {timeout:g} s; it goes on.")
        return self

    def watch(self, *, until: Callable[[Job], object] | None = None) -> Job:
        """Show how the job goes on until it has ended, as `wait` does; returns the job.

        A notebook's cell has its state in words, its cost and its curves, drawn anew as they
        grow; elsewhere lines are printed. Where its provider is out of reach it says so, and since
        when. It returns earlier once `until`, asked whenever something is new, is true. Ctrl-C,
        which is the stop button of a cell, only ends the showing: the job goes on, and that is
        said.
        """
        from hubtrain._watching import Showing

        showing = Showing(lambda: self._record, self._reach.now)

        def news(job: Job) -> None:
            showing.draw()
            if until is not None and until(job):
                raise _Enough

        said = ""
        try:
            news(self)
            self.wait(on_update=news, on_line=lambda line: showing.draw(), on_silence=showing.say)
        except _Enough:
            pass
        except KeyboardInterrupt:
            said = self._left_running()
        showing.draw(said, at_once=True)
        return self

    def _left_running(self) -> str:
        """Return what to say to whoever interrupts the showing."""
        if self.ended:
            return f"{self.id} had ended already."
        here = f'{self._reach.finds}("{self.id}")'
        return (
            f"Left running as {self.id}. Nothing was stopped."
            f" Watch again: {here}.watch()  Stop it: {here}.cancel()"
        )

    def ask(
        self,
        question: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]],
        **settings: Any,
    ) -> Any:
        """Return what the job's model answers, on the machine that has the job: text to a prompt.

        A model that takes no prompt is asked with its fields or columns, as in `{"text": "…"}`, and
        its answer is plain data. A list of questions has a list of answers, and the model is
        loaded once. `settings` are those of `hubtrain TASK --inference --help`, such as
        `max_new_tokens`. Raises `HubtrainError` where there is no model, or none to ask.
        """
        typed(question, (str, Mapping, Sequence), "the question", "'Where is my parcel?'")
        questions = [question] if isinstance(question, (str, Mapping)) else list(question)
        with in_arguments():
            answers = self._reach.answers(self._record, questions, settings)
        return answers[0] if isinstance(question, (str, Mapping)) else answers

    def result(self, timeout: float | None = None) -> str:
        """Wait for the job and return where its model is; raises `JobFailed` if there is none."""
        self.wait(timeout)
        if self.state is not State.SUCCEEDED:
            raise JobFailed(self)
        return self.model or ""

    def logs(self, *, follow: bool = False) -> Iterator[str]:
        """Yield the lines the job has printed; with `follow`, until it has ended."""
        return self._reach.lines(self._record, follow=follow)

    def cancel(self) -> Job:
        """Stop the job and its machine, wait until that costs nothing, and return the job.

        A job that has ended keeps its end. Raises `HubtrainError` if it is not known to have
        stopped.
        """
        self._record = self._reach.cancelled(self._record)
        return self


class JobFailed(HubtrainError):
    """A job has ended, and not well. `reason` is its `EndReason`."""

    def __init__(self, job: Job) -> None:
        said = f"{job.id} {job.state} ({job.reason}): {job.message}".rstrip(": ")
        super().__init__(said, fix=job._reach.log_of(job.id), reason=job.reason)
        self.job = job
        """The job as it ended."""


class _Enough(Exception):
    """Somebody has seen what there was to wait for."""
