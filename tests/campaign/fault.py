"""What a fault is: it waits for its moment, strikes once, and may be mended some time later."""

from __future__ import annotations

import random
import time
from typing import ClassVar

from campaign.client import Client
from campaign.house import SPEED
from campaign.moments import After, AtRequest, Moment, WhenTraining
from campaign.scene import Scene

HUB = ("spaces", "jobs")
EVERYWHERE = (*HUB, "local", "slurm", "docker")
STORIES = ("train", "cancel", "resume", "remove")
TRAINING = ("train", "resume")
"""Stories in which a job is to come to its good end."""

DOWN_SECONDS = 60.0
"""How long what is away stays away, by the house's clock."""

GOOD = frozenset({"succeeded"})
ANY_END = frozenset({"succeeded", "failed", "cancelled", "lost"})


class Fault:
    """Something that breaks at a moment."""

    name: ClassVar[str]
    places: ClassVar[tuple[str, ...]] = EVERYWHERE
    stories: ClassVar[tuple[str, ...]] = STORIES
    weight: ClassVar[float] = 1.0
    ends: ClassVar[frozenset[str]] = GOOD
    """States in which a job may end that was to be trained, once its user has typed again."""

    takes_disk: ClassVar[bool] = False
    """Whether it needs a disk of its own, which not everybody may mount."""

    for_ever: ClassVar[bool] = True
    """Whether it stays broken until the round is over for its user; else for a minute."""

    def __init__(self, chance: random.Random, place: str, story: str) -> None:
        self.chance, self.place, self.story = chance, place, story
        self.moment: Moment | None = self.choose()
        self._until = float("inf")

    @property
    def words(self) -> str:
        """What breaks and when, for the line of the round."""
        when = f" · {self.moment.words}" if self.moment else ""
        return f"{self.name}{self.detail}{when}"

    detail: str = ""

    def choose(self) -> Moment | None:
        """Return when it is to strike; none for what is so from the beginning."""
        return self.chance.choice([self.asked(), self.training(), self.late()])

    def asked(self) -> Moment:
        """Return one of the laptop's requests, or a time where it asks no Hub."""
        most = {"train": 24, "cancel": 7, "resume": 24, "remove": 8}[self.story]
        return AtRequest(self.chance.randint(1, most)) if self.place in HUB else self.late()

    def late(self) -> Moment:
        """Return some time while the command runs."""
        return After(self.chance.uniform(0.05, 4.0 if self.story in TRAINING else 1.0))

    def training(self) -> Moment:
        """Return a step of the training, its beginning, or its end."""
        if self.story not in TRAINING:
            return self.late()
        what = self.chance.choice(["begins", "step", "step", "saved"])
        return WhenTraining(what, self.chance.randint(1, 5) if what == "step" else 0)

    def prepare(self, scene: Scene) -> None:
        """Set the scene, before its user does anything."""

    def begin(self, scene: Scene) -> None:
        """Begin to wait; from here on its user acts."""
        if self.moment:
            self.moment.arm(scene)

    def tick(self, scene: Scene, client: Client) -> None:
        """Strike when the moment has come, and mend when a minute has gone by."""
        if not scene.struck and self.moment and self.moment.there(scene):
            scene.struck = self.moment.words
            if not self.for_ever:
                self._until = time.monotonic() + DOWN_SECONDS / SPEED
            self.strike(scene, client)
        elif time.monotonic() > self._until:
            self._until = float("inf")
            self.mend(scene)

    def strike(self, scene: Scene, client: Client) -> None:
        """Break it."""

    def mend(self, scene: Scene) -> None:
        """Let it be whole again."""
        scene.world.mend()

    def again(self, scene: Scene, words: tuple[str, ...]) -> None:
        """Go on breaking what its user types next, where that is what it is."""

    def close(self, scene: Scene) -> None:
        """Take away what it needed."""
