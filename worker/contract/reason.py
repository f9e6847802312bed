"""Why a job ended, in the same words for every backend, and the exit codes of a worker."""

from __future__ import annotations

from enum import StrEnum


class EndReason(StrEnum):
    """Why a job ended, in the same words for every backend."""

    OK = "ok"
    OOM = "oom"
    BAD_DATA = "bad_data"
    BAD_CONFIG = "bad_config"
    GATED_MODEL = "gated_model"
    TOKEN_NO_WRITE = "token_no_write"
    PUSH_FAILED = "push_failed"
    BUILD_ERROR = "build_error"
    DEADLINE = "deadline"
    COST_CAP = "cost_cap"
    PREEMPTED = "preempted"
    HUNG = "hung"
    USER = "user"
    WORKER_DIED = "worker_died"
    PROVIDER = "provider"
    NO_ACCELERATOR = "no_accelerator"
    SCRIPT_FAILED = "script_failed"

    @property
    def exit_code(self) -> int:
        """The worker's exit code: 0 for ok, 1 where nothing better is known, else 10 upwards."""
        return _EXIT_CODES[self]


_EXIT_CODES = {
    EndReason.OK: 0,
    EndReason.WORKER_DIED: 1,
    EndReason.OOM: 10,
    EndReason.BAD_DATA: 11,
    EndReason.BAD_CONFIG: 12,
    EndReason.GATED_MODEL: 13,
    EndReason.TOKEN_NO_WRITE: 14,
    EndReason.PUSH_FAILED: 15,
    EndReason.BUILD_ERROR: 16,
    EndReason.DEADLINE: 17,
    EndReason.COST_CAP: 18,
    EndReason.PREEMPTED: 19,
    EndReason.HUNG: 20,
    EndReason.USER: 21,
    EndReason.PROVIDER: 23,
    EndReason.NO_ACCELERATOR: 24,
    EndReason.SCRIPT_FAILED: 25,
}
"""Scripts read these numbers: a new reason gets a new one, and none is ever given again."""

NO_SECRETS_RECEIVED = 75
"""The exit code of a worker that was started and then not told its secrets, so that nothing has
begun: `EX_TEMPFAIL` of sysexits.h. No reason has this number."""
