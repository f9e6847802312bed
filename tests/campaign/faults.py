"""What breaks: all kinds of `Fault`.

To add one, write a subclass of `Fault` in this file; it is found by being there.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from campaign.client import Client
from campaign.fault import ANY_END, GOOD, HUB, TRAINING, Fault
from campaign.house import SPEED
from campaign.moments import After, Moment, WhenTraining
from campaign.scene import Scene
from campaign.world import LAPTOP, OWNER, SmallDisk, may_mount, slurm


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
        _kill(scene.process(scene.diary()[-1].supervisor), signal.SIGKILL)


class TrainerKilled(SupervisorKilled):
    """The process that trains is killed."""

    name = "trainer killed"

    def strike(self, scene: Scene, client: Client) -> None:
        _kill(scene.process(scene.diary()[-1].trainer), signal.SIGKILL)


class TrainerHangs(SupervisorKilled):
    """The process that trains stands still, and hears no signal."""

    name = "trainer hangs"
    weight = 0.4

    def prepare(self, scene: Scene) -> None:
        scene.settings["hang-minutes"] = 1

    def strike(self, scene: Scene, client: Client) -> None:
        _kill(scene.process(scene.diary()[-1].trainer), signal.SIGSTOP)


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
    takes_disk = True
    stories = TRAINING
    places = ("spaces", "jobs", "local")
    ends = ANY_END

    def choose(self) -> None:
        self.left = self.chance.choice([0, 4096, 30_000, 60_000, 100_000, 200_000])
        self.detail = f" ({self.left // 1000} kB left)"

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
    takes_disk = True

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


def _kill(pid: int | None, number: signal.Signals) -> None:
    """Send a process a signal, if it is there."""
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def faults(places: Iterable[str], only: str = "") -> list[type[Fault]]:
    """Return the faults that can be tried here, `only` those so called, in a fixed order."""
    kinds = [kind for kind in globals().values() if isinstance(kind, type)]
    found = [k for k in kinds if issubclass(k, Fault) and k is not Fault]
    here = (k for k in found if set(k.places) & set(places))
    return [k for k in here if only in k.name and (may_mount() or not k.takes_disk)]
