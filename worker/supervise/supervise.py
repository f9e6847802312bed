"""The steps of a job on its machine, in order, with billing stopped at the end in every case.

1. Serve the page.
2. Stop here if an earlier start of this machine already ended the job, or several got nowhere.
3. Wait for the hardware the job asked for, and report the start.
4. Test the accelerators, and check that the model repo can be written.
5. Train, from the last checkpoint if there is one, and save the model on the Hub or in a folder.
6. Report how the job ended, and stop the billing.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import TypeVar

from worker import launch, node
from worker.archive import archived_events
from worker.card import evaluated_with, packages_of
from worker.clock import Clock
from worker.contract import (
    REPLACED,
    Ending,
    EndReason,
    Event,
    Failed,
    Finished,
    JobSpec,
    Phase,
    PushTarget,
    Started,
    Stopped,
    ending_of,
    fold,
)
from worker.errors import HubError, HubtrainError
from worker.host import Host
from worker.ports import free_port
from worker.redact import Redactor
from worker.supervise import evaluate, resources
from worker.supervise.checkpoints import Checkpoints, resumable, tidied
from worker.supervise.flavor import wait_for_flavor
from worker.supervise.gather import gather
from worker.supervise.journal import Journal
from worker.supervise.keep import keep_ahead, keep_model, keep_record, keep_unfinished
from worker.supervise.live import SIGNAL, Live, Page
from worker.supervise.prove import only_lent, prove
from worker.supervise.restarts import in_circles, tell_start
from worker.supervise.retry import keep_trying
from worker.supervise.start import Beginning, beginning
from worker.supervise.target import prepare
from worker.supervise.watch import asked_for, watch

T = TypeVar("T")

HUB_SECONDS = 600.0
"""How long to retry when the Hub does not answer at the start of the job."""

HUB_REFUSALS = 2
SHOW_END_SECONDS = 5.0
"""How long open pages have to show the end before the machine is shut down."""


class Replaced(Exception):
    """The provider moves the job to another machine and starts it there; it has not ended."""


class Supervisor:
    """One run of a worker.

    `serve` starts the page of the job, or returns none if it cannot. `command` starts the trainer;
    the default runs `worker.run`.
    """

    def __init__(
        self,
        spec: JobSpec,
        host: Host,
        *,
        clock: Clock,
        serve: Callable[[Live], Page | None],
        command: Sequence[str] | None = None,
    ) -> None:
        host.work.mkdir(parents=True, exist_ok=True)
        journal = Journal(host.work, clock=clock, redact=Redactor(host.environ))
        now = clock.now()
        self.born_at = host.since(now)
        born = clock.monotonic() - (now - self.born_at).total_seconds()
        self.live = Live(spec, host, clock, journal, born=born)
        self.command = command
        self.serve = serve
        self.page: Page | None = None
        self.told_before = False

    def run(self) -> EndReason:
        """Run the job to its end and return why it ended. Blocks; call it from the main thread."""
        _listen(self.live)
        ending: Ending | None = None
        try:
            self.page = self.serve(self.live)
            ending = self._life()
        except Replaced:
            return EndReason.PREEMPTED  # billing goes on: a Space has to be running for it
        except Exception as error:  # after any error the machine must be stopped
            ending = self._fault(error)
        finally:
            if ending is not None:
                self._end(ending)
        return EndReason.OK if isinstance(ending, Finished) else ending.reason

    def _life(self) -> Ending:
        if earlier := self._earlier_end():
            return earlier
        if not wait_for_flavor(self.live):
            if self.live.stopped_by == SIGNAL:
                raise Replaced  # by the machine that is waited for
            return asked_for(self.live)
        self._start()
        if lacking := prove(self.live):
            return lacking
        if target := self.live.spec.push:
            self._prepare(target)
        begun = beginning(self.live, self._keep_trying)
        evaluated = evaluated_with(self.live.spec)
        if evaluated and not begun and (ending := evaluate.before(self.live)):
            return self._by_whom(ending)
        sending = Checkpoints(self.live)
        ending = self._train(begun, sending)
        if isinstance(ending, Finished):
            if evaluated:
                keep_ahead(self.live)
                ending = Finished(note=evaluate.after(self.live))
            return tidied(self.live, sending, keep_model(self.live, ending))
        return keep_unfinished(self.live, resumable(self.live, self._by_whom(ending)))

    def _prepare(self, target: PushTarget) -> None:
        """Check before the training that the model can be pushed. Raises `HubtrainError`."""
        self._keep_trying(
            lambda: prepare(self.live.spec, target, self.live.host.token),
            f"preparing {target.repo_id}",
        )
        if self.live.host.forgets_starts:
            tell_start(self.live, target)

    def _train(self, begun: Beginning | None, sending: Checkpoints) -> Ending:
        """Train, from checkpoint `begun` if there is one, and wait until the last one is stored."""
        live = self.live
        gathered = gather(live)
        if not isinstance(gathered, Mapping):
            return gathered
        if begun:
            live.journal.log(f"Training goes on from step {begun.step}, from {begun.where}.")
        elif live.worker == "trainer":
            live.journal.log("Training begins at its first step.")
        live.journal.say(Phase(name=f"starting the {live.worker}"))
        command = self.command or trainer_command(live.spec, live.host, begun)
        ending = watch(live, command, sending.take, gathered)
        live.to_save = 0.0
        if not isinstance(ending, Finished):
            sending.last_one()
        return ending

    def _earlier_end(self) -> Ending | None:
        """Return how the job ended before this machine was restarted, if it did."""
        events, spec = self.live.journal.events, self.live.spec
        if not ending_of(events) and spec.push:
            events = self._keep_trying(
                lambda: archived_events(spec, self.live.host.token),
                f"looking for earlier events in {spec.push.repo_id}",
            )
        if ending := ending_of(events):
            self.told_before = True
            self.live.journal.adopt(events)
            self.live.journal.log("This job has ended before; it is not run again.")
            return ending
        self._take_over(events)
        if lost := in_circles(self.live.journal.events):
            return resumable(self.live, lost)
        return self._pushed_before()

    def _take_over(self, events: list[Event]) -> None:
        """Adopt the events from before this machine was restarted, and the time that they took."""
        story = fold(events)
        if story.started_at is None:
            return
        if not self.live.journal.events:
            self.live.journal.adopt(events)
        self.live.born -= story.seconds(story.heard_at or story.started_at)

    def _pushed_before(self) -> Ending | None:
        """Return the ending if the model is on the Hub already, without its evaluation."""
        story = self.live.story()
        if not story.pushed:
            return None
        note = "the evaluation was cut short by a restart"
        self.live.journal.log(f"The model is trained and pushed, and {note}.")
        return Finished(metrics=story.metrics, note=note)

    def _start(self) -> None:
        started = Started(
            at=self.born_at,
            job_id=self.live.spec.job_id,
            hardware=resources.hardware(self.live.host) | self._accelerators(),
            versions=resources.versions(packages_of(self.live.spec)),
            page=self.page.url if self.page else None,
        )
        self.live.journal.say(started)

    def _accelerators(self) -> dict[str, object]:
        """Return the number of accelerators for the job, with a note if some are missing."""
        paid = self.live.spec.gpus_per_node
        lent = self.live.host.accelerators(paid)
        note = {"note": only_lent(lent, paid)} if lent < paid else {}
        return {"accelerators": lent, **note}

    def _keep_trying(self, ask: Callable[[], T], doing: str) -> T:
        return keep_trying(
            self.live,
            ask,
            doing,
            seconds=HUB_SECONDS,
            refusals=HUB_REFUSALS,
            at_most=max(0.0, self.live.seconds_left),
        )

    def _by_whom(self, ending: Ending) -> Ending:
        """Distinguish a pause that somebody requested from a machine that was taken away."""
        if not isinstance(ending, Stopped) or ending.reason != EndReason.PREEMPTED:
            return ending
        wished = self.live.host.stopped_on_purpose()
        if wished is None and self.live.host.starts_again():
            self.live.journal.say(Phase(name=REPLACED))
            raise Replaced
        return wished or ending

    def _fault(self, error: Exception) -> Ending:
        """Return the ending for an error in the supervisor itself."""
        if self.live.stopped_by:
            return asked_for(self.live)
        if isinstance(error, HubError) and (limit := self.live.limit()):
            return limit
        if isinstance(error, HubtrainError):
            return Failed(reason=error.reason, message=str(error))
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return Failed(reason=EndReason.WORKER_DIED, message="The machine's disk is full.")
        return Failed(
            reason=EndReason.WORKER_DIED,
            message=f"hubtrain itself failed ({type(error).__name__}: {error}).",
            detail="".join(traceback.format_exception(error)),
        )

    def _end(self, ending: Ending) -> None:
        """Report the ending, show it on the page, and stop the billing even if either fails."""
        live = self.live
        try:
            if not self.told_before:
                live.journal.say(ending)
                # What went wrong beside a success may be that this ending is not on the Hub.
                if live.spec.push and (not isinstance(ending, Finished) or ending.note):
                    keep_record(live, live.spec.push)
            live.over = True
            if self.page:
                self.page.show_end(SHOW_END_SECONDS)
        except Exception:
            live.journal.log(traceback.format_exc())
        finally:
            live.host.stop_billing(clock=live.clock, log=live.journal.log)


def trainer_command(spec: JobSpec, host: Host, begun: Beginning | None = None) -> list[str]:
    """Return the command that trains: with a launcher where several processes do, on each node."""
    paths = ["--job", host.job_file, "--output", host.model, "--work", host.work]
    paths += ["--resume", begun.folder] if begun else []
    arguments = [*map(str, paths)]
    if spec.parallel.nodes > 1:
        there = [sys.executable, "-P", "-m", node.MODULE, str(free_port()), *arguments]
        return [*host.on_each_node(spec.parallel.nodes), *there]
    parallel = launch.here(spec, host.accelerators(spec.gpus_per_node))
    return launch.command(parallel, arguments, host.cores or os.cpu_count() or 1)


def _listen(live: Live) -> None:
    """Treat SIGTERM and SIGINT as requests to stop."""

    def note(number: int, _frame: FrameType | None) -> None:
        live.ask_to_stop(SIGNAL if number == signal.SIGTERM else "Ctrl-C")

    signal.signal(signal.SIGTERM, note)
    signal.signal(signal.SIGINT, note)
