"""All errors shown to users. Each says what happened and, where possible, what to type next."""

from __future__ import annotations

from worker.contract import EndReason

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "Cannot allocate memory")
"""What libraries say where memory ran out, on any device."""


class HubtrainError(Exception):
    """Something the user can understand: what was wrong, and the next thing to do.

    `reason` is the word it ends a job with, should it end one.
    """

    reason: EndReason = EndReason.PROVIDER

    def __init__(self, message: str, *, fix: str = "", reason: EndReason | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        if reason is not None:
            self.reason = reason

    def __str__(self) -> str:
        return f"{self.message} {self.fix}".strip()


class BadConfig(HubtrainError):
    """A setting is unknown, out of bounds, or does not go with another."""

    reason = EndReason.BAD_CONFIG


class BadData(HubtrainError):
    """The examples are not what the task needs."""

    reason = EndReason.BAD_DATA


class ProgramFailed(HubtrainError):
    """A program of the user's ended badly, and `last_words` is the end of what it printed."""

    reason = EndReason.SCRIPT_FAILED

    def __init__(
        self, message: str, last_words: str, *, reason: EndReason = EndReason.SCRIPT_FAILED
    ) -> None:
        super().__init__(message, reason=reason)
        self.last_words = last_words


class HubError(HubtrainError):
    """The Hub said no, said nothing, or could not be reached."""


class HubUnreachable(HubError):
    """No answer, or only answers that say to come back later; trying again may help."""


class NoWrite(HubError):
    """The token is missing, wrong, or may not write where the job writes."""

    reason = EndReason.TOKEN_NO_WRITE


class GatedModel(HubError):
    """The model asks for its terms to be accepted first."""

    reason = EndReason.GATED_MODEL


class NotThere(HubError):
    """No such repo, revision, file or Space, or none that this token may see."""
