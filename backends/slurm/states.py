"""What Slurm calls a job's state, in our words."""

from __future__ import annotations

from backends.base import Status
from worker.contract import EndReason

_ENDED = {
    "BOOT_FAIL": EndReason.PROVIDER,
    "CANCELLED": EndReason.USER,
    "COMPLETED": None,
    "DEADLINE": EndReason.DEADLINE,
    "FAILED": None,
    "NODE_FAIL": EndReason.PROVIDER,
    "OUT_OF_MEMORY": EndReason.OOM,
    "PREEMPTED": EndReason.PREEMPTED,
    "REVOKED": EndReason.PROVIDER,
    "SPECIAL_EXIT": None,
    "TIMEOUT": EndReason.DEADLINE,
}
"""States from which a job does not come back by itself, each with why it ended, if it says. One
that nobody has heard of yet is not among them."""

SAID = {
    "TIME LIMIT": EndReason.DEADLINE,
    "PREEMPTION": EndReason.PREEMPTED,
    "JOB REQUEUE": EndReason.PREEMPTED,
    "NODE FAILURE": EndReason.PROVIDER,
}
"""What Slurm writes into a job's log of why it ends it (`CANCELLED AT … DUE TO …`)."""

_DETAILS = {
    EndReason.DEADLINE: "Slurm ended the job at its wall time.",
    EndReason.OOM: "Slurm ended the job because it held more memory than it was given.",
    EndReason.PREEMPTED: "Slurm gave the job's node to another.",
    EndReason.USER: "The job was cancelled in Slurm.",
    EndReason.PROVIDER: "The job's node failed.",
}


_WAITS = {"JobArrayTaskLimit": "its turn among the trials of its sweep (--parallel)"}
"""What a job waits for, where Slurm's own word says little."""


def status_of(told: str) -> Status:
    """Return what `look` of `cluster.sh` says, as a status."""
    facts = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    state, _, waiting = facts.get("state", "").partition("|")
    if state and state not in _ENDED:
        detail = _waiting(state, waiting)
        return Status(True, costing=False, stage=state, detail=detail, waiting=state == "PENDING")
    reason = _ENDED.get(state) or _said(facts.get("said", ""))
    return Status(
        alive=False,
        costing=False,
        stage=state or ("ended" if facts.get("ended") else "forgotten"),
        detail=_DETAILS.get(reason, "") if reason else "",
        reason=reason,
    )


def _waiting(state: str, told: str) -> str:
    """Return what a job waits for that does not run yet, in Slurm's words."""
    why, _, when = told.partition("|")
    if state != "PENDING" or why in {"", "None"}:
        return ""
    why = _WAITS.get(why, why)
    return f"{why}, expected to start {when}" if when not in {"", "N/A"} else why


def _said(words: str) -> EndReason | None:
    return next((reason for said, reason in SAID.items() if f"DUE TO {said}" in words), None)
