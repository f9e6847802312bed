"""Runs the trainer once, passes its events on, and decides how it ended.

The trainer itself can only report why it failed. It has succeeded if its exit code is 0 or if it
reported a complete model. Limits of time, money and silence apply whatever it reports.
"""

from __future__ import annotations

import secrets
import signal
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from worker import launch
from worker.contract import (
    MARK_VARIABLE,
    SAVED,
    Checkpoint,
    Chosen,
    Ending,
    EndReason,
    Failed,
    Finished,
    Metric,
    Phase,
    Progress,
    Stopped,
    from_marked,
)
from worker.supervise import cgroup, resources
from worker.supervise.live import SIGNAL, Live
from worker.supervise.trainer import TrainerProcess
from worker.supervise.watchdog import Vitals, verdict

TICK_SECONDS = 0.25
MEASURE_SECONDS = 3.0
LAST_WORDS = 20
"""Lines of output that go with a failure."""

GRACE_SECONDS = 20.0
"""How long a trainer that is stopped may take to write down where it is."""

STUCK_SECONDS = 2.0
"""The same for one that is hung."""

EXIT_SECONDS = 60.0
"""How long a trainer that has told its ending may take to exit."""

NEARLY = 0.9
"""Share of the machine's memory above which a killed trainer is taken to have run out of it."""

_KILLED = {-9, 128 + 9}
"""SIGKILL, as the parent sees it and as a launcher in between reports it."""


def watch(
    live: Live,
    command: Sequence[str],
    keep: Callable[[Checkpoint], None] = lambda left: None,
    environ: Mapping[str, str] | None = None,
) -> Ending:
    """Run the trainer, and return how it ended. Leaves no process of it.

    `keep` is given each checkpoint at once, before the trainer can write the next and delete it.
    `environ` is the trainer's environment, by default the host's for it.
    """
    kills = cgroup.oom_kills()
    # A random mark, so that what a model, data or a library prints cannot pass for an event.
    mark = f"@{secrets.token_hex(16)} "
    environ = live.host.for_trainer() if environ is None else environ
    trainer = TrainerProcess(command, env={**environ, MARK_VARIABLE: mark})
    over = threading.Event()
    threading.Thread(target=_measure, args=(live, trainer, over), daemon=True).start()
    reading = _Reading(live, mark, keep)
    cut_short: Ending | None = None
    try:
        cut_short = reading.until_silent(trainer)
    finally:
        over.set()
        trainer.end(_grace(live, cut_short))
        live.usage = None
    reading.rest(trainer)
    if reading.saved:
        return reading.finished(trainer, cut_short)
    if reading.failed and not live.stopped_by:  # it failed before it was stopped
        return reading.failure()
    if cut_short:
        return cut_short
    if live.stopped_by:  # the signal to end reached the trainer as well
        return asked_for(live)
    code = trainer.returncode if reading.code is None else reading.code
    return _died(live, trainer, code, reading.last_words, cgroup.oom_kills() > kills)


class _Reading:
    """The trainer's output as it comes, and what has been learnt from it."""

    def __init__(self, live: Live, mark: str, keep: Callable[[Checkpoint], None]) -> None:
        self.live, self.mark, self.keep = live, mark, keep
        self.saved = False
        """Whether the model is complete. That makes a good end, whatever the trainer does then."""

        self.failed: Failed | None = None
        """The trainer's own word on why it failed."""

        self.code: int | None = None
        """How the first of several processes ended that did not end well, by their launcher."""

        self.began = self.last_event = live.clock.monotonic()
        self.checked = 0.0
        self._lines: deque[str] = deque(maxlen=LAST_WORDS)

    def until_silent(self, trainer: TrainerProcess) -> Ending | None:
        """Read to the end; returns the ending of a trainer that has to be cut short."""
        while not trainer.silent:
            line = trainer.next_line(TICK_SECONDS)
            if line is not None:
                self.take(line)
            now = self.live.clock.monotonic()
            if line is None or now - self.checked >= TICK_SECONDS:
                self.checked = now
                if ending := self.judge(now):
                    return ending
        return None

    def rest(self, trainer: TrainerProcess) -> None:
        """Read what the trainer said while it was ended: a checkpoint, perhaps."""
        while (line := trainer.next_line(0)) is not None:
            self.take(line)

    def take(self, line: str) -> None:
        """Pass on an event, hold back a failure, keep everything else as log."""
        event = from_marked(line, self.mark)
        match event:
            case Phase() | Progress() | Metric() | Checkpoint() | Chosen():
                self.live.journal.say(event)
                if isinstance(event, Checkpoint):
                    self.keep(event)
                self.saved = self.saved or (isinstance(event, Phase) and event.name == SAVED)
            case Failed():
                self.failed = self.failed or event  # of several processes the first knows why
            case None:
                if line:  # `worker.run` prints an empty line before each event
                    self._lines.append(self.live.journal.log(line))
                self.code = self.code if self.code is not None else launch.code_in(line)
                return
            case _:
                self.live.journal.log(f"A trainer cannot say {event.kind}; it is not heeded.")
                return
        self.last_event = self.live.clock.monotonic()

    def judge(self, now: float) -> Ending | None:
        """Return how the trainer has to be ended now, if it has to be, whatever it has said."""
        if self.live.stopped_by:
            return asked_for(self.live)
        if (self.saved or self.failed) and now - self.last_event >= EXIT_SECONDS:
            return self.failure() if self.failed else Finished()  # it only had to exit
        vitals = Vitals(now, self.live.born, self.last_event, self.live.to_save)
        spec = self.live.spec
        return verdict(vitals, spec.limits, spec.machine.usd_per_hour, self.live.worker)

    def finished(self, trainer: TrainerProcess, cut_short: Ending | None) -> Finished:
        """Return the good end of a trainer whose model is complete, and log what came after."""
        if cut_short and not isinstance(cut_short, Finished):
            self.live.journal.log(f"The model was complete when it had to end: {cut_short.message}")
        elif self.failed:
            self.live.journal.log(f"The model was complete when it failed: {self.failed.message}")
        elif trainer.returncode:
            self.live.journal.log(f"The finished trainer left with code {trainer.returncode}.")
        return Finished()

    def failure(self) -> Failed:
        """Return the failure the trainer told, with its last words."""
        assert self.failed is not None
        return self.failed.model_copy(update={"detail": self.failed.detail or self.last_words})

    @property
    def last_words(self) -> str:
        """The end of what the trainer printed."""
        return "\n".join(self._lines)


def _grace(live: Live, ending: Ending | None) -> float:
    """Return how long a trainer that has to end may take to write a checkpoint, in seconds.

    Where a limit ends it, that is what was set aside for it.
    """
    if not isinstance(ending, Stopped):
        return STUCK_SECONDS
    return GRACE_SECONDS if live.stopped_by else max(GRACE_SECONDS, live.to_save)


def asked_for(live: Live) -> Stopped:
    """Return the ending that somebody asked for; a signal is the machine's, or its owner's."""
    if live.stopped_by == SIGNAL:
        return Stopped(reason=EndReason.PREEMPTED, message="The machine was taken away.")
    return Stopped(reason=EndReason.USER, message=f"Stopped by {live.stopped_by}.")


def _died(
    live: Live,
    trainer: TrainerProcess,
    code: int | None,
    last_words: str,
    killed_by_kernel: bool,
) -> Ending:
    """Return the ending of a trainer that told none and left with `code`."""
    if code == 0:
        return Finished()
    limit = resources.memory_limit(live.host)
    held = trainer.peak_bytes + resources.own_bytes()
    if code in _KILLED and (killed_by_kernel or held >= NEARLY * limit):
        peak, there = (f"{size / 2**30:.1f} GB" for size in (trainer.peak_bytes, limit))
        return Failed(
            reason=EndReason.OOM,
            message=f"Out of memory: the {live.worker} held {peak} when it was killed, and this"
            f" machine has {there}.",
            detail=last_words,
        )
    return Failed(
        reason=EndReason.WORKER_DIED,
        message=f"The {live.worker} {_how(code)} without saying why.",
        detail=last_words,
    )


def _how(code: int | None) -> str:
    if code is None or code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed from outside ({signal.Signals(-code).name})"
    except ValueError:
        return f"was killed from outside (signal {-code})"


def _measure(live: Live, trainer: TrainerProcess, over: threading.Event) -> None:
    while not over.wait(MEASURE_SECONDS):
        live.usage = resources.usage(live.host, trainer.measure())
