"""Tests the accelerators that are paid for, before training.

Each must exist and multiply two matrices correctly. This is done in a child process, because it may
crash or hang. If one fails, the job ends: it never trains on the CPU at the price of a GPU.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from worker.contract import EndReason, Failed, Phase, Stopped
from worker.supervise.live import Live
from worker.supervise.trainer import TrainerProcess
from worker.supervise.watch import asked_for

PATIENCE_SECONDS = 60.0
"""Longest silence between two findings: the first comes with torch, whose import reads gigabytes
from a disk that has never been read."""

TICK_SECONDS = 0.25
_LAST_WORDS = 20
COMMAND = (sys.executable, "-P", "-m", "worker.probe")


def prove(
    live: Live, command: Sequence[str] = COMMAND, patience: float = PATIENCE_SECONDS
) -> Failed | Stopped | None:
    """Return the ending of a job whose accelerators are not what is paid for; none if they are.

    Blocks for seconds, at most for `patience` after each finding, and not beyond the job's limits.
    """
    paid = live.spec.gpus_per_node
    wanted = live.host.accelerators(paid)
    if wanted < paid:
        live.journal.log(only_lent(wanted, paid))
    if not wanted:
        return None
    live.journal.say(Phase(name="trying the accelerators"))
    findings = _Findings()
    child = TrainerProcess(command, env=live.host.for_trainer())
    try:
        why = findings.wait(live, child, patience)
    finally:
        child.end(0)
    if live.stopped_by:
        return asked_for(live)
    if limit := live.limit():
        return limit
    why = why or findings.lacking(wanted, child.returncode)
    if why is None:
        live.journal.log(f"All {wanted} accelerators compute: {findings.versions}.")
        return None
    return Failed(
        reason=EndReason.NO_ACCELERATOR,
        message=_message(live, wanted, why, findings),
        detail="\n".join(findings.words),
    )


def only_lent(lent: int, paid: int) -> str:
    """Return the words for a Hub that lends fewer accelerators than its machine is said to have."""
    if lent:
        return f"This Hub lends {lent} of the {paid} accelerators of this hardware."
    return "This Hub lends no accelerator with this hardware: training runs on the CPU."


class _Findings:
    """What the child has said so far."""

    def __init__(self) -> None:
        self.said: dict[str, Any] = {}
        self.words: list[str] = []
        """What else was printed, the last of it."""

    def wait(self, live: Live, child: TrainerProcess, patience: float) -> str | None:
        """Read until the child has ended; returns what is wrong with one that does not."""
        heard = live.clock.monotonic()
        while not child.silent:
            if (line := child.next_line(TICK_SECONDS)) is not None and self._take(line):
                heard = live.clock.monotonic()
            if live.stopped_by or live.limit():
                return None
            if live.clock.monotonic() - heard >= patience:
                return f"they gave no answer within {patience:.0f} s"
        return None

    def _take(self, line: str) -> bool:
        """Take in a line; true if it is a finding."""
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if isinstance(found, dict):
            self.said |= found
        else:
            self.words = [*self.words, line][-_LAST_WORDS:]
        return isinstance(found, dict)

    def lacking(self, wanted: int, code: int | None) -> str | None:
        """Return what is wrong with what was found; none if nothing is."""
        devices, proven = self.said.get("devices"), self.said.get("proven", 0)
        if error := self.said.get("error"):
            return f"torch could not compute on them ({error})"
        if devices is None or (code and proven < wanted):
            return f"trying them ended with exit code {code}"
        if devices < wanted:
            return f"torch finds only {devices}"
        return None if proven >= wanted else f"only {proven} of them computed"

    @property
    def versions(self) -> str:
        """Both CUDA versions, as far as they are known."""
        driver, cuda = self.said.get("driver"), self.said.get("cuda")
        if "driver" not in self.said:
            known = "the driver's CUDA version is not known"
        else:
            known = f"the driver runs CUDA {driver} and older" if driver else "there is no driver"
        if "torch" not in self.said:
            return f"{known}, and torch was not reached"
        built = f"is built for CUDA {cuda}" if cuda else "is built without CUDA"
        return f"{known}, and torch {self.said['torch']} {built}"


def _message(live: Live, wanted: int, why: str, findings: _Findings) -> str:
    machine = live.spec.machine
    number = f"{wanted} accelerator{'' if wanted == 1 else 's'}"
    whose = f"{machine.flavor} is paid for with" if machine.usd_per_hour else "This machine has"
    advice = (
        "Run the same command with another --backend; hubtrain backends lists them."
        if machine.usd_per_hour
        else "Install a torch that fits the driver, or hide the accelerators: with the environment"
        " variable CUDA_VISIBLE_DEVICES set to -1 the same command trains on the CPU."
    )
    found = findings.versions
    return f"{whose} {number}, but {why}: {found}. Nothing was trained. {advice}"
