"""Creating the repo of a job: under a name that holds the job's id, by one of all its launches."""

from __future__ import annotations

from abc import ABC, abstractmethod

from backends.errors import LaunchFailed
from worker.errors import HubtrainError, HubUnreachable


class Creating(ABC):
    """One launch, as far as it creates a repo and has to know whose it is."""

    made: bool
    """Whether this launch, and no other, may have created the repo."""

    @abstractmethod
    def _make(self) -> None:
        """Ask the Hub for the repo."""

    @abstractmethod
    def _is_ours(self) -> bool:
        """Look whether the repo is there. Raises `LaunchFailed` if it holds anything else."""

    def _create(self) -> None:
        """Create the repo. Raises `LaunchFailed`, and `HubUnreachable` if it may be there now."""
        self.made = True
        try:
            self._make()
        except HubUnreachable:
            raise
        except HubtrainError as error:
            # Refused, or made by another launch in this very moment: not ours to remove.
            self.made = False
            if not self._is_ours():
                raise LaunchFailed(error.message, fix=error.fix, reason=error.reason) from error
