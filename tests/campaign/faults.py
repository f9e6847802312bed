"""What breaks. A fault waits for its moment, strikes once, and may be mended some time later.

To add one, write a subclass of `Fault` in this file; it is found by being there.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, ClassVar

from campaign.client import Client
from campaign.house import SPEED
from campaign.moments import After, AtRequest, Moment, WhenTraining
from campaign.scene import Scene
from campaign.world import LAPTOP, OWNER, SmallDisk, may_mount, slurm

HUB = ("spaces", "jobs")
EVERYWHERE = (*HUB, "local", "slurm")
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

    for_ever: ClassVar[bool] = True
    """Whether it stays broken until the round is over for its user; else for a minute."""

    def __init__(self, chance: random.Random, place: str, story: str) -> None:
        self.chance, self.place, self.story = chance, place, story
        self.moment: Moment | None = self.choose()
        self._until = float("inf")

    @property
    def words(self) -> str:
        """What breaks and when, for the line of the round."""
        return f"{self.name}{self.detail} · {self.moment.words}" if self.moment else self.name

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


class Nothing(Fault):
    """For comparison: nothing breaks."""

    name = "nothing"
    weight = 0.5

    def choose(self) -> None:
        return None


class ClientKilled(Fault):
    """The command is killed: its laptop is switched off."""

    name = "client killed"
    weight = 3.0

    def choose(self) -> Moment:
        return self.asked() if self.chance.random() < 0.8 else self.late()

    def strike(self, scene: Scene, client: Client) -> None:
        client.kill()


class ClientInterrupted(Fault):
    """Ctrl-C, or the terminal is closed."""

    name = "client interrupted"

    def choose(self) -> Moment:
        return self.chance.choice([self.asked(), self.late()])

    def strike(self, scene: Scene, client: Client) -> None:
        client.kill(self.chance.choice([signal.SIGINT, signal.SIGTERM]))


class ClientKilledTwice(ClientKilled):
    """… and so is the command that its user types then."""

    name = "client killed twice"
    weight = 1.5

    def choose(self) -> Moment:
        self.second = self.asked()
        return super().choose()

    def again(self, scene: Scene, words: tuple[str, ...]) -> None:
        """Type the command once more, and kill it, too."""
        self.second.arm(scene)
        client = scene.start(*words)
        client.wait(lambda: client.kill() if self.second.there(scene) else None)
        scene.world.mend()


class HubSilent(Fault):
    """The Hub takes some requests and does not answer for half a minute."""

    name = "Hub silent"
    weight = 0.3

    def strike(self, scene: Scene, client: Client) -> None:
        times = self.chance.randint(1, 3)
        scene.world.hub.clear_faults()
        scene.world.hub.fault({"delay": 30}, path="^/(api|ann)/", times=times)


class SupervisorKilled(Fault):
    """The worker's first process is killed."""

    name = "supervisor killed"
    stories = TRAINING
    ends = ANY_END

    def choose(self) -> Moment:
        return self.training()

    def strike(self, scene: Scene, client: Client) -> None:
        _kill(scene.diary()[-1].supervisor, signal.SIGKILL)


class TrainerKilled(SupervisorKilled):
    """The process that trains is killed."""

    name = "trainer killed"

    def strike(self, scene: Scene, client: Client) -> None:
        _kill(scene.diary()[-1].trainer, signal.SIGKILL)


class TrainerHangs(SupervisorKilled):
    """The process that trains stands still, and hears no signal."""

    name = "trainer hangs"
    weight = 0.4

    def prepare(self, scene: Scene) -> None:
        scene.settings["hang-minutes"] = 1

    def strike(self, scene: Scene, client: Client) -> None:
        _kill(scene.diary()[-1].trainer, signal.SIGSTOP)


class TrainerFails(Fault):
    """Training ends without a model: out of memory, or by an error."""

    name = "trainer fails"
    stories = ("train",)
    ends = frozenset({"failed"})

    def choose(self) -> None:
        self.how = self.chance.choice(["oom", "badly"])
        self.detail = f" ({self.how})"

    def prepare(self, scene: Scene) -> None:
        scene.settings["ends"] = self.how
        scene.struck = "from the beginning"

    @property
    def words(self) -> str:
        return f"{self.name}{self.detail}"


class HubDown(Fault):
    """The Hub answers nobody for a minute."""

    name = "Hub down for 60 s"
    for_ever = False

    def strike(self, scene: Scene, client: Client) -> None:
        scene.world.hub.clear_faults()
        scene.world.hub.fault({"drop": True}, times=None)


class HubGoneAtTheEnd(HubDown):
    """… from the moment on in which the model is complete."""

    name = "Hub gone at the end of training"
    stories = TRAINING

    def choose(self) -> Moment:
        return WhenTraining("saved")


class HubRestarted(Fault):
    """The Hub is killed and comes back."""

    name = "Hub killed, back after 40 s"
    places = ("spaces", "local")
    weight = 0.5

    def strike(self, scene: Scene, client: Client) -> None:
        scene.world.hub.kill9()
        time.sleep(40 / SPEED)
        scene.world.hub.start()


class HubBusy(Fault):
    """Some requests in a row are refused as by a busy Hub."""

    name = "Hub busy"

    def choose(self) -> None:
        self.status = self.chance.choice([429, 429, 500, 502, 503, 504])
        self.nth, self.times = self.chance.randint(1, 40), self.chance.randint(1, 8)
        self.detail = f" ({self.times} times {self.status}) · request {self.nth}"

    @property
    def words(self) -> str:
        return f"{self.name}{self.detail}"

    def begin(self, scene: Scene) -> None:
        later = {"retry_after": 1} if self.status == 429 else {}
        scene.world.hub.fault({"status": self.status, **later}, nth=self.nth, times=self.times)

    def tick(self, scene: Scene, client: Client) -> None:
        """Wait for nothing: the Hub knows which requests to break."""

    def mend(self, scene: Scene) -> None:
        rules = scene.world.hub.admin("GET", "faults")
        if any(rule["happened"] for rule in rules):
            scene.struck = "by request"
        super().mend(scene)


class AnswersLost(HubBusy):
    """What is asked for happens, and nobody hears that it did."""

    name = "answers lost"

    def choose(self) -> None:
        self.nth, self.times = self.chance.randint(1, 40), self.chance.randint(1, 3)
        self.whose = self.chance.choice([LAPTOP, ""])
        self.detail = f" ({self.times} of {self.whose or 'anybody'}'s) · request {self.nth}"

    def begin(self, scene: Scene) -> None:
        rule = {"match": {"agent": self.whose}, "nth": self.nth, "times": self.times}
        lost = {"drop": True, "after": self.chance.random() < 0.7}
        scene.world.hub.admin("POST", "faults", {**rule, "fault": lost})


class StreamsDropped(HubBusy):
    """Logs break off after a few lines, each time they are read."""

    name = "streams dropped"
    places = HUB
    stories = TRAINING

    def choose(self) -> None:
        self.after = self.chance.randint(0, 12)
        self.detail = f" (after {self.after})"

    def begin(self, scene: Scene) -> None:
        what: dict[str, Any] = self.chance.choice(
            [{"drop_stream_after": self.after}, {"drop_after_bytes": self.after * 40}]
        )
        scene.world.hub.fault(what, path="/logs", times=None)


class TokenRevoked(Fault):
    """The token is revoked, for a minute or for good."""

    name = "token revoked"
    ends = ANY_END
    stories = TRAINING

    def choose(self) -> Moment:
        self.for_good = self.chance.random() < 0.5
        self.detail = " for good" if self.for_good else " for 60 s"
        return self.training()

    @property
    def for_ever(self) -> bool:  # type: ignore[override]
        return self.for_good

    def strike(self, scene: Scene, client: Client) -> None:
        token = scene.world.hub.tokens[OWNER]
        scene.world.hub.admin("PUT", "tokens", {"token": token, "revoked": True})


class WorkersDiskFull(Fault):
    """There is little room where the worker writes."""

    name = "worker's disk full"
    stories = TRAINING
    places = ("spaces", "jobs", "local")
    ends = ANY_END

    def choose(self) -> None:
        self.left = self.chance.choice([0, 4096, 30_000, 60_000, 100_000, 200_000])
        self.detail = f" ({self.left // 1000} kB left)"

    @property
    def words(self) -> str:
        return f"{self.name}{self.detail}"

    def begin(self, scene: Scene) -> None:
        self.disk = SmallDisk(scene.folder / "machine")
        self.disk.fill(self.left)
        scene.set(work=str(self.disk.at / "work"))
        scene.struck = "from the beginning"

    def close(self, scene: Scene) -> None:
        with suppress(AttributeError):
            self.disk.close()


class LaptopsDiskFull(Fault):
    """There is no room any more where the laptop keeps its records."""

    name = "laptop's disk full"

    def choose(self) -> Moment:
        self.left = self.chance.choice([0, 0, 4096, 20_000])
        self.detail = f" ({self.left // 1000} kB left)"
        return self.chance.choice([self.asked(), self.late(), After(0.0)])

    def prepare(self, scene: Scene) -> None:
        self.disk = SmallDisk(scene.folder / "laptop")
        scene.environ["HUBTRAIN_HOME"] = str(self.disk.at / "home")

    def strike(self, scene: Scene, client: Client) -> None:
        self.disk.fill(self.left)

    def mend(self, scene: Scene) -> None:
        self.disk.make_room()
        super().mend(scene)

    def close(self, scene: Scene) -> None:
        with suppress(AttributeError):
            self.disk.close()


class ClockJumps(Fault):
    """The clock of the laptop or the worker is set forward or back, by up to two days."""

    name = "clock jumps"
    ends = frozenset({"succeeded", "failed"})

    def choose(self) -> Moment | None:
        self.whose = self.chance.choice(["laptop", "worker"])
        self.hours = self.chance.choice([-48, -3, -0.1, 0.1, 3, 48])
        self.detail = f" ({self.whose}'s {self.hours:+g} h)"
        return super().choose()

    def strike(self, scene: Scene, client: Client) -> None:
        scene.set(**{f"{self.whose}_jump": self.hours * 3600})


class SecondClient(Fault):
    """Another command about the same job at the same time."""

    name = "two clients"
    weight = 2.0

    def choose(self) -> Moment | None:
        self.does = self.chance.choice(
            ["the same", "cancel", "rm", "gc", "jobs", "gc elsewhere", "rm and the same"]
        )
        self.detail = f" ({self.does})"
        return super().choose()

    @property
    def ends(self) -> frozenset[str]:  # type: ignore[override]
        return ANY_END if self.does in {"cancel", "rm", "rm and the same"} else GOOD

    def strike(self, scene: Scene, client: Client) -> None:
        words = {
            "the same": client.words,
            "cancel": ("cancel", scene.project, "--json"),
            "rm": ("rm", scene.project, "--force", "--yes", "--json"),
            "gc": ("gc", "--yes", "--json"),
            "jobs": ("jobs", "--json"),
        }
        match self.does:
            case "gc elsewhere":  # on another laptop, which knows of no job
                scene.start(*words["gc"], HUBTRAIN_HOME=str(scene.folder / "elsewhere"))
            case "rm and the same":
                scene.start(*words["rm"])
                scene.start(*client.words)
            case _:
                scene.start(*words[self.does])


class SlurmRestarted(Fault):
    """Slurm's controller is away for a while."""

    name = "slurmctld restarted"
    places = ("slurm",)
    weight = 0.7
    for_ever = False

    def strike(self, scene: Scene, client: Client) -> None:
        slurm("stop")

    def mend(self, scene: Scene) -> None:
        slurm("start")
        super().mend(scene)

    def close(self, scene: Scene) -> None:
        slurm("up")


def _kill(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def faults(places: Iterable[str], only: str = "") -> list[type[Fault]]:
    """Return the faults that can be tried here, `only` those so called, in a fixed order."""
    kinds = [kind for kind in globals().values() if isinstance(kind, type)]
    found = [k for k in kinds if issubclass(k, Fault) and k is not Fault]
    disks = {WorkersDiskFull, LaptopsDiskFull}
    possible = (k for k in found if set(k.places) & set(places) and (may_mount() or k not in disks))
    return [kind for kind in possible if only in kind.name]
