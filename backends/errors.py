"""What a provider can answer that is not an answer."""

from __future__ import annotations

from worker.contract import EndReason
from worker.errors import HubtrainError


class BackendError(HubtrainError):
    """A provider refused, failed or forgot; the message carries its own words."""


class PlanRefused(BackendError):
    """The provider cannot do what the job asks; found before anything cost money."""

    reason = EndReason.BAD_CONFIG


class LaunchFailed(BackendError):
    """The job could not be started; what had been made for it is gone again."""


class JobGone(BackendError):
    """The provider has no job under this handle."""
