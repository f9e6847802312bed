"""The extra interface of a backend that launches several jobs with one request."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from backends.base import OnProgress, silent
from backends.handle import Handle


class Together(ABC):
    """A place with a queue of its own, which begins jobs as others end: Slurm's job arrays.

    Each job stays one: with its handle, which all other verbs take.
    """

    @property
    @abstractmethod
    def most(self) -> int:
        """How many jobs one request takes; 1: none together with others."""

    @abstractmethod
    def launch_all(
        self,
        requests: Sequence[Any],
        secrets: Mapping[str, str],
        at_once: int,
        on_progress: OnProgress = silent,
    ) -> list[Handle]:
        """Launch jobs that ask for the same machine; at most `at_once` of them run at a time.

        As `launch` in all else: what an earlier call has launched is found and not launched again,
        and after `LaunchFailed` nothing is left of those that were not.
        """
