"""A round: a job somewhere, what its user does, and what breaks meanwhile; drawn, then run.

Whatever has broken, the user types what hubtrain's own words propose: the same command again,
`cancel` or `rm` again, and in the end, days later, one `gc`. Then comes the auditor.
"""

from __future__ import annotations

import random
import shutil
import time
import traceback
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from campaign import containers
from campaign.audit import audit
from campaign.client import Hangs
from campaign.fault import STORIES, TRAINING, Fault
from campaign.faults import faults
from campaign.scene import Scene, Stuck
from campaign.world import World

FLAVORS = {
    "spaces": ("spaces-cpu", "spaces-cpu-upgrade"),
    "jobs": ("jobs-cpu-basic", "jobs-cpu-upgrade"),
    "local": ("local",),
    "slurm": ("slurm-debug",),
    containers.PLACE: (containers.PLACE,),
}
"""What is typed after `--backend`, by the place it leads to."""

LIMIT = "2h"
"""`--max-duration` of every job: what still runs after it is nobody's."""

MUCH_LATER = 5 * 24 * 3600.0
"""When `gc` is typed, in seconds of the house's clock."""

TRIES = 3
"""How often a user types the same command again."""

SLOW = {"steps": 4000, "step-seconds": 0.05}
"""A training that its user does not wait for."""


@dataclass(frozen=True)
class Outcome:
    """What came of a round, as it is printed and counted."""

    seed: int
    number: int
    place: str
    story: str
    fault: str
    words: str
    state: str
    struck: bool
    seconds: float
    wrong: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Round:
    """What follows from a seed and a number."""

    seed: int
    number: int
    place: str
    story: str
    fault: type[Fault]
    chance: random.Random

    @classmethod
    def drawn(cls, seed: int, number: int, places: Iterable[str], only: str = "") -> Round:
        """Return the round of this number, among what can be tried in these places."""
        chance = random.Random(f"{seed}/{number}")
        kinds = faults(places, only)
        fault = chance.choices(kinds, [kind.weight for kind in kinds])[0]
        place = chance.choice([one for one in places if one in fault.places])
        weights = [3.0 if one in TRAINING else 1.0 for one in fault.stories]
        story = chance.choices(fault.stories, weights)[0]
        return cls(seed, number, place, story, fault, chance)

    def run(self, world: World) -> Outcome:
        """Run it in a world, and leave nothing behind. Raises nothing."""
        began = time.monotonic()
        scene = Scene(
            world,
            world.folder / f"round{self.number}",
            self.chance,
            f"r{self.number}",
            self.chance.choice(FLAVORS[self.place]),
        )
        fault = self.fault(self.chance, self.place, self.story)
        scene.settings |= {"max-duration": LIMIT, "weights": self.number}
        if self.place == containers.PLACE:
            scene.settings |= containers.settings(world.house.folder)
        scene.push = self.place in {"spaces", "jobs"} or self.chance.random() < 0.5
        if self.chance.random() < 0.03:
            scene.set(page="real")
        state, wrong = "?", list[str]()
        try:
            fault.prepare(scene)
            played = Play(scene, fault, self.story)
            played.run()
            state, wrong = audit(scene, self.story, fault.ends)
        except (Hangs, Stuck) as error:
            wrong = [str(error)]
        except Exception:
            wrong = ["the campaign itself failed: " + traceback.format_exc()[-1500:]]
        finally:
            leave(scene, fault, keep=bool(wrong))
        return Outcome(
            self.seed,
            self.number,
            self.place,
            self.story,
            fault.name,
            fault.words,
            state,
            bool(scene.struck),
            time.monotonic() - began,
            wrong,
        )


@dataclass
class Play:
    """One round's story, told under its fault and then to its end."""

    scene: Scene
    fault: Fault
    story: str

    def run(self) -> None:
        """Do what comes before, act under the fault, mend it, go on, and sweep up much later."""
        words = getattr(self, f"_before_{self.story}")()
        self.fault.begin(self.scene)
        client = self.scene.start(*words)
        client.wait(lambda: self.fault.tick(self.scene, client))
        self._see_through()
        self.fault.mend(self.scene)
        for other in self.scene.clients:
            other.wait()
        self.fault.again(self.scene, words)
        if self.story in TRAINING:
            self._trained(words)
        else:
            self._again(words, until_code=0)
        self._sweep()

    def _see_through(self) -> None:
        """Let what lasts a minute last its minute, and what waits for a trainer meet it."""
        client = self.scene.clients[-1]
        ends = time.monotonic() + 1.0
        while time.monotonic() < ends and not self.scene.struck:
            self.fault.tick(self.scene, client)
            time.sleep(0.02)

    def _before_train(self) -> tuple[str, ...]:
        return self.scene.train_words

    def _before_resume(self) -> tuple[str, ...]:
        scene = self.scene
        calm = {"ends": "badly", "checkpoint-step": 2}
        kept, scene.settings = scene.settings, scene.settings | calm
        said = scene.run(*scene.train_words)
        scene.settings = kept
        if said.code != 1:
            raise Stuck(f"the job to be resumed did not fail: {said.code} {said.err[-500:]}")
        return "resume", scene.project, "--ends", "well", "--json"

    def _before_cancel(self) -> tuple[str, ...]:
        self._launched()
        return "cancel", self.scene.project, "--json"

    def _before_remove(self) -> tuple[str, ...]:
        self._launched()
        return "rm", self.scene.project, "--force", "--yes", "--json"

    def _launched(self) -> None:
        """Launch a job that goes on for long, and wait until it trains."""
        scene = self.scene
        scene.settings |= SLOW
        said = scene.run(*scene.train_words, "--detach")
        if said.code != 0:
            raise Stuck(f"the launch failed: {said.err[-500:]}")
        scene.until(scene.trains, "a step of the training")

    def _trained(self, words: tuple[str, ...]) -> None:
        """Type the same command again, unless its job has ended, and some times at most."""
        for _ in range(TRIES):
            jobs = self.scene.jobs()
            mine = [j for j in jobs if self.story == "train" or j["resumes"]]
            if any(job["state"] == "succeeded" for job in mine) or self._given_up(mine):
                return
            self.scene.run(*words)

    def _given_up(self, jobs: list[dict[str, Any]]) -> bool:
        """Whether the fault explains that the job has not come to a good end."""
        states = {job["state"] for job in jobs}
        removed = self.fault.detail.startswith(" (rm")
        ended = bool(states) and states <= {"failed", "cancelled", "lost"}
        return removed or (ended and states <= self.fault.ends)

    def _again(self, words: tuple[str, ...], until_code: int) -> None:
        """Type the same command again until it has done what it says; no such job is as good."""
        for _ in range(TRIES):
            if self.scene.clients[-1].code in {until_code, 2} or not self.scene.jobs():
                return
            self.scene.run(*words)

    def _sweep(self) -> None:
        """Type `gc` once, much later, when whatever is left is nobody's."""
        scene = self.scene
        scene.set(laptop_jump=MUCH_LATER)
        scene.run("gc", "--yes", "--json")


def leave(scene: Scene, fault: Fault, *, keep: bool) -> None:
    """End what a round has left, so that the next one finds a clean world."""
    world = scene.world
    fault.close(scene)
    for client in scene.clients:
        client.kill()
    world.mend()
    if scene.place == containers.PLACE:
        containers.remove(scene.job_ids)
    for space in world.ask("/api/spaces", author="ann") or []:
        delete(world, "space", space["id"])
    world.jobs_before |= {job["id"] for job in world.ask("/api/jobs/ann") or []}
    world.hub.forget_requests()
    if not keep:
        shutil.rmtree(scene.folder, ignore_errors=True)


def delete(world: World, kind: str, name: str) -> None:
    """Delete a repo of the Hub, and what runs in it."""
    owner, _, short = name.partition("/")
    body = {"type": kind, "organization": owner, "name": short}
    with world.hub.http("ann") as http:
        http.request("DELETE", "/api/repos/delete", json=body)


assert set(STORIES) == {name.removeprefix("_before_") for name in vars(Play) if "_before_" in name}
