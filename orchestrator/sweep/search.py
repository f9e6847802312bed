"""Which settings are tried next: what a sweep asks, whoever answers (`chosen` knows who does)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any


class Search(ABC):
    """Gives settings to trials, which are numbered from 0, and hears what became of them.

    Everything may be repeated: what was given or told before is known, also to another process.
    """

    total: int
    """How many trials there are to be."""

    @abstractmethod
    def settings(self, number: int) -> Mapping[str, Any]:
        """Return the settings of a trial. They never change once they were given."""

    @abstractmethod
    def tell(self, number: int, value: float | None) -> None:
        """Hear what a trial came to; none: it failed."""

    def report(self, number: int, step: int, value: float) -> bool:
        """Hear what a running trial measures; true if it is not worth its time."""
        return False

    def pruned(self, number: int) -> bool:
        """Whether a trial was found not to be worth its time."""
        return False

    def worth(self) -> Mapping[str, float]:
        """Return how much of the differences each setting makes; empty where that is not known."""
        return {}
