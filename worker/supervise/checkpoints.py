"""Takes the trainer's checkpoints as it leaves them, and brings them to the Hub behind its back.

The trainer deletes its own checkpoints when it writes newer ones, so each is linked at once: no
byte is copied. One thread sends them, one at a time; where saving is faster than sending, the
newest is sent and those between are left out. No failure here ends a training.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path

from worker import checkpoints
from worker.contract import EVENTS_FILE, JOB_FILE, Checkpoint, Ending, Finished, branch_of
from worker.errors import HubtrainError
from worker.paths import spec_for_others, text_for_others
from worker.supervise.journal import jsonl
from worker.supervise.live import Live
from worker.supervise.retry import keep_trying
from worker.timeout import within

REFUSALS = 3
TRYING_SECONDS = 600.0
"""How long a Hub that does not answer is asked to take a checkpoint."""

BYTES_PER_SECOND = 2e6
"""Slowest upload that is waited for."""

SETTLE_SECONDS = 600.0
LEAST_SECONDS = 20.0
"""How long the last checkpoint is waited for at the end of a training: at most, and at least."""

LOOK_SECONDS = 0.5
SAVE_SECONDS = 60.0
"""What the step that goes on and writing a checkpoint may take."""

TIDY_SECONDS = 60.0

NICE = 10
"""By how much the thread that sends gives way to the training, on machines that can say it."""


class Checkpoints:
    """The checkpoints of one training, on their way to the Hub."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.folder = live.host.work / "sending"
        self.failed = ""
        """Why the last one that was tried is not on the Hub; empty if it is."""

        self._waiting: Checkpoint | None = None
        self._sending: Checkpoint | None = None
        self._over = False
        self._news = threading.Condition()
        self._places = count()
        shutil.rmtree(self.folder, ignore_errors=True)
        live.to_save = _set_aside(live, 0.0)
        if live.spec.push:
            threading.Thread(target=self._run, daemon=True, name="checkpoints").start()

    def take(self, told: Checkpoint) -> None:
        """Hold a checkpoint that the trainer has just left, and send it when there is time."""
        if self.live.spec.push is None:
            return
        # One step may be saved twice, while the first is on its way.
        there, mine = Path(told.where), self.folder / f"{next(self._places)}-{told.step}"
        try:
            lacking = checkpoints.lacking_here(there, self.live.spec.task)
            if not lacking:
                _link(there, mine)
        except OSError as error:
            self.live.journal.log(f"The checkpoint of step {told.step} is not sent: {error}")
            return
        if lacking:
            self.live.journal.log(_incomplete(told.step, lacking))
            return
        with self._news:
            passed_over, self._waiting = self._waiting, told.model_copy(update={"where": str(mine)})
            self._news.notify_all()
        if passed_over:
            shutil.rmtree(passed_over.where, ignore_errors=True)

    def settle(self, seconds: float) -> bool:
        """Wait until all are sent, at most so long; whether they are."""
        clock = self.live.clock
        until = clock.monotonic() + seconds
        with self._news:
            while (self._waiting or self._sending) and clock.monotonic() < until:
                self._news.wait(LOOK_SECONDS)
            return not (self._waiting or self._sending or self.failed)

    def drop(self) -> None:
        """Send no more. One that is on its way goes on."""
        with self._news:
            self._over, self._waiting = True, None
            self._news.notify_all()

    def last_one(self) -> None:
        """Wait for the checkpoint that a job without a model has left, and say what is there.

        It is waited for within the limits of the job, which set time aside for it.
        """
        if self.live.spec.push is None:
            return
        if not self.settle(min(max(self.live.seconds_left, LEAST_SECONDS), SETTLE_SECONDS)):
            why = self.failed or "there was no time left to send it"
            self.live.journal.log(f"The last checkpoint is not on the Hub: {why}")

    def _run(self) -> None:
        _give_way()
        while True:
            with self._news:
                while self._waiting is None and not self._over:
                    self._news.wait()
                if self._over or self._waiting is None:
                    return
                self._sending, self._waiting = self._waiting, None
            self._send(self._sending)
            with self._news:
                self._sending = None
                self._news.notify_all()

    def _send(self, one: Checkpoint) -> None:
        live, folder = self.live, Path(one.where)
        began = live.clock.monotonic()
        size = sum(p.stat().st_size for p in folder.rglob("*"))
        try:
            commit = keep_trying(
                live,
                lambda: checkpoints.push(
                    live.spec, one.step, folder, self._beside(), live.host.token
                ),
                f"pushing the checkpoint of step {one.step}",
                seconds=TRYING_SECONDS,
                refusals=REFUSALS,
                longest=120 + size / BYTES_PER_SECOND,
            )
        except Exception as error:  # whatever it is, training goes on
            self.failed = str(error) if isinstance(error, HubtrainError) else repr(error)
            live.journal.log(f"The checkpoint of step {one.step} is not on the Hub: {self.failed}")
        else:
            assert live.spec.push is not None
            self.failed = ""
            live.to_save = _set_aside(live, live.clock.monotonic() - began)
            where = f"{live.spec.push.repo_id}@{commit}"
            live.journal.say(Checkpoint(step=one.step, where=where))
        shutil.rmtree(folder, ignore_errors=True)

    def _beside(self) -> dict[str, str]:
        """Return the job and its events so far, as they may lie where others look."""
        spec = self.live.spec
        return {
            JOB_FILE: spec_for_others(spec).model_dump_json(indent=2) + "\n",
            EVENTS_FILE: text_for_others(jsonl(self.live.journal.events), spec),
        }


def _set_aside(live: Live, took: float) -> float:
    """Return the time to set aside before a limit, in seconds; a checkpoint `took` so long to send.

    It is half as long again, with what a step and writing it may take; but the limit is for
    training, and no more than a tenth of it is taken away.
    """
    allowed = live.spec.limits.seconds(live.spec.machine.usd_per_hour)
    return min(SAVE_SECONDS + 1.5 * took, allowed / 10) if allowed < math.inf else 0.0


def tidied(live: Live, sending: Checkpoints, ending: Ending) -> Ending:
    """Remove the checkpoints that a model on the Hub has made needless; returns `ending`.

    Those of the jobs that it resumed go too, and one that was still on its way is waited for. What
    cannot be removed stays, and is said.
    """
    if not isinstance(ending, Finished):
        sending.last_one()
        return resumable(live, ending)
    if live.spec.push:
        kept = live.spec.params.get("keep_checkpoints", False)
        if not kept:
            sending.drop()
        sending.settle(TIDY_SECONDS)
        if not kept:
            _remove(live, live.spec.push.repo_id)
    return ending


def _remove(live: Live, repo_id: str) -> None:
    spec, start, token = live.spec, live.spec.start, live.host.token
    resumed = start.jobs if start and start.repo_id == repo_id else ()
    try:
        for job_id in (spec.job_id, *resumed):
            own, branch = job_id == spec.job_id, branch_of(job_id)
            within(TIDY_SECONDS, partial(checkpoints.remove, repo_id, branch, token, whole=own), "")
    except Exception as error:  # the model is there, and that is what counts
        live.journal.log(f"The checkpoints could not be removed from {repo_id}: {error}")


def resumable(live: Live, ending: Ending) -> Ending:
    """Return the ending of a job without a model, with a sentence if it can be gone on with."""
    last = live.story().checkpoint_kept(keeps_disk=live.host.keeps_disk)
    if last is None or isinstance(ending, Finished):
        return ending
    words = f"{ending.message} Training can go on from step {last.step}.".lstrip()
    return ending.model_copy(update={"message": words})


def _incomplete(step: int, lacking: Sequence[str]) -> str:
    files = ", ".join(lacking)
    return f"The checkpoint of step {step} has no {files}: training cannot go on from it."


def _link(folder: Path, to: Path) -> None:
    """Link a folder's files to another place of the disk; copy them where that cannot be."""
    shutil.rmtree(to, ignore_errors=True)
    try:
        shutil.copytree(folder, to, copy_function=os.link)
    except (OSError, shutil.Error):
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(folder, to)


def _give_way() -> None:
    """Let the training have the CPU where both want it. On Linux this is of this thread alone."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
