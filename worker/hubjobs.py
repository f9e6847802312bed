"""What the Hub's words on a Job that has ended mean: its stage, and the message beside it."""

from __future__ import annotations

import hashlib
import hmac
import re

from worker.contract import EndReason

CANCELED = "CANCELED"
"""The stage of a Job that somebody cancelled."""

ENDED = frozenset({"COMPLETED", CANCELED, "ERROR", "DELETED"})
"""Stages of Jobs that are over. One that nobody has heard of yet is not among them."""

_TIMEOUT = re.compile(r"time(d )?[ -]?out", re.IGNORECASE)
_MEMORY = re.compile(r"\boom|out of memory", re.IGNORECASE)
_CODE = re.compile(r"exit code:? (\d+)", re.IGNORECASE)
_BY_CODE = {reason.exit_code: reason for reason in EndReason if reason is not EndReason.OK}


def end_reason(stage: str, message: str, timeout: EndReason) -> EndReason | None:
    """Return why a Job ended, as far as the Hub says; none where it does not, or it ended well.

    `timeout` is what the Job's time limit stands for: the job's deadline, or its money.
    """
    if stage == CANCELED:
        return EndReason.USER
    if stage not in ENDED or stage == "COMPLETED":
        return None
    if _TIMEOUT.search(message):
        return timeout
    if _MEMORY.search(message):
        return EndReason.OOM
    code = _CODE.search(message)
    return _BY_CODE.get(int(code[1])) if code else None


def page_key(token: str, job_id: str) -> str:
    """Return what opens the page of a Job, whose id is the Hub's; it does not reveal the token."""
    return hmac.new(token.encode(), f"page of {job_id}".encode(), hashlib.sha256).hexdigest()
