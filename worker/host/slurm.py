"""A job of Slurm: a share of a node, for a time, in a folder that stays."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from worker.contract import EndReason, Stopped
from worker.hardware import Node
from worker.host.plain import PlainMachine

_SAID = re.compile(r"\*\*\* \S+ \S+ ON \S+ CANCELLED AT \S+ (?:DUE TO (.+) )?\*\*\*")
_TAIL_BYTES = 20_000
_TAKEN = {"PREEMPTION", "JOB REQUEUE", "NODE FAILURE"}

REQUEUED = "HUBTRAIN_SLURM_REQUEUE"
"""Environment: whether the job was submitted with --requeue."""


class SlurmJob(PlainMachine):
    """What Slurm gives a job, as its environment tells."""

    @classmethod
    def is_here(cls, environ: Mapping[str, str]) -> bool:
        """Whether the job script is ours: other programs are started by Slurm too."""
        return bool(environ.get("HUBTRAIN_SLURM"))

    @property
    def cores(self) -> int | None:
        """CPU cores of the job on this node."""
        told = self.environ.get("SLURM_CPUS_ON_NODE", "")
        return int(told) if told.isdecimal() else None

    @property
    def memory(self) -> int | None:
        """Main memory of the job on this node, in bytes; none where Slurm does not limit it."""
        whole = self.environ.get("SLURM_MEM_PER_NODE", "")
        each = self.environ.get("SLURM_MEM_PER_CPU", "")
        if whole.isdecimal() and int(whole):
            return int(whole) * 2**20
        return int(each) * (self.cores or 1) * 2**20 if each.isdecimal() and int(each) else None

    def on_each_node(self, nodes: int) -> list[str]:
        """Return `srun`, which ends all once one of them has failed."""
        each = [f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1"]
        if cores := self.environ.get("SLURM_CPUS_PER_TASK"):  # a step does not take it from its job
            each.append(f"--cpus-per-task={cores}")
        return ["srun", *each, "--kill-on-bad-exit=1", "--unbuffered"]

    def node(self, port: int) -> Node:
        """Return the place that `srun` has given it; the job script runs on the first node."""
        told = self.environ
        return Node(int(told["SLURM_NODEID"]), told["SLURM_LAUNCH_NODE_IPADDR"], port)

    def stopped_on_purpose(self) -> Stopped | None:
        """Return that the time is over, or that somebody cancelled the job, as Slurm told it."""
        warned = self.environ.get("HUBTRAIN_SLURM_WARNED")
        said = _SAID.findall(self._log())
        if (warned and Path(warned).exists()) or (said and said[-1] == "TIME LIMIT"):
            return Stopped(reason=EndReason.DEADLINE, message="Slurm's wall time was reached.")
        if said and not said[-1]:
            return Stopped(reason=EndReason.USER, message="The job was cancelled in Slurm.")
        return None

    def starts_again(self) -> bool:
        """Whether Slurm has said that it takes the node away, and may start the job again."""
        said = _SAID.findall(self._log())
        return bool(said) and said[-1] in _TAKEN and self.environ.get(REQUEUED) == "1"

    def _log(self) -> str:
        """Return the end of the job's log, into which Slurm writes why it ends a job."""
        try:
            with self.job_file.with_name("log.txt").open("rb") as log:
                log.seek(0, os.SEEK_END)
                log.seek(max(0, log.tell() - _TAIL_BYTES))
                return log.read().decode(errors="replace")
        except OSError:
            return ""


HOST = SlurmJob
