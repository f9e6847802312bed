"""When a fault strikes: at a request of the laptop's, at a step of the training, after a time."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from campaign.scene import Scene
from campaign.world import LAPTOP


class Moment(ABC):
    """A moment that is waited for, in words for the line of its round."""

    words: str

    @abstractmethod
    def arm(self, scene: Scene) -> None:
        """Begin to wait."""

    @abstractmethod
    def there(self, scene: Scene) -> bool:
        """Whether it has come."""


@dataclass
class AtRequest(Moment):
    """The laptop's n-th request to the Hub, which is held back meanwhile."""

    nth: int

    @property
    def words(self) -> str:  # type: ignore[override]
        return f"request {self.nth}"

    def arm(self, scene: Scene) -> None:
        rule = {"match": {"agent": LAPTOP}, "nth": self.nth, "times": 1, "fault": {"delay": 3}}
        scene.world.hub.admin("POST", "faults", rule)

    def there(self, scene: Scene) -> bool:
        return any(rule["happened"] for rule in scene.world.hub.admin("GET", "faults"))


@dataclass
class After(Moment):
    """Some time after the command was given."""

    seconds: float
    _ends: float = field(default=0.0, init=False)

    @property
    def words(self) -> str:  # type: ignore[override]
        return f"after {self.seconds:.2f} s"

    def arm(self, scene: Scene) -> None:
        self._ends = time.monotonic() + self.seconds

    def there(self, scene: Scene) -> bool:
        return time.monotonic() >= self._ends


@dataclass
class WhenTraining(Moment):
    """The first time that a trainer writes so, counted from now: `step 3`, `saved 5`."""

    what: str
    step: int = 0
    _before: int = field(default=0, init=False)

    @property
    def words(self) -> str:  # type: ignore[override]
        return f"{self.what} {self.step}" if self.step else self.what

    def arm(self, scene: Scene) -> None:
        self._before = len(scene.diary())

    def there(self, scene: Scene) -> bool:
        new = scene.diary()[self._before :]
        return any(n.what == self.what and n.step >= self.step for n in new)
