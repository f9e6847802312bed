"""One round as it is run: its folder, its job, the commands of its user, and where training is."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from campaign import containers
from campaign.client import Client
from campaign.planted import LAPTOP
from campaign.world import OWNER, World

WAIT_SECONDS = 60.0


class Stuck(Exception):
    """Something that had to happen did not."""


@dataclass(frozen=True)
class Note:
    """A line of the trainers' diary."""

    what: str
    step: int
    trainer: int
    """Process that trains."""

    supervisor: int
    """Its parent."""


@dataclass
class Scene:
    """What a round has to do with."""

    world: World
    folder: Path
    chance: random.Random
    project: str
    place: str
    """What is typed after `--backend`."""

    settings: dict[str, Any] = field(default_factory=dict)
    """Settings of its job."""

    push: bool = True
    environ: dict[str, str] = field(default_factory=dict)
    """Of its user's commands, beside what the world gives."""

    clients: list[Client] = field(default_factory=list)
    conditions: dict[str, Any] = field(default_factory=dict)
    struck: str = ""
    """When the fault has struck, in words; empty while it has not."""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        (self.folder / "rows.csv").write_text("row\n1\n2\n3\n", "utf-8")
        self.set(diary=str(self.folder / "diary"))

    def set(self, **conditions: Any) -> None:
        """Change the conditions of this round."""
        self.conditions |= conditions
        self.world.house.conditions(**self.conditions)

    @property
    def home(self) -> Path:
        """Where its user's records are."""
        return Path(self.environ.get("HUBTRAIN_HOME", self.folder / "home"))

    @property
    def job_ids(self) -> list[str]:
        """The jobs that this machine has run, newest first."""
        folders = (self.home / "runs").glob("*")
        return [one.name for one in sorted(folders, key=lambda f: f.stat().st_mtime, reverse=True)]

    def process(self, named: int) -> int | None:
        """Return what this machine calls a process of the diary; none that has ended."""
        if self.place == containers.PLACE:
            return containers.process(self.job_ids, named)
        return named

    @property
    def train_words(self) -> tuple[str, ...]:
        """The command that trains."""
        settings = [w for k, v in self.settings.items() for w in (f"--{k}", str(v))]
        pushing = ("--push-to-hub", "--username", OWNER) if self.push else ()
        return (
            *("quick", "--train", "--data-path", "rows.csv", "--project-name", self.project),
            *("--backend", self.place, "--json", *pushing, *settings),
        )

    def start(self, *words: str, **more: str) -> Client:
        """Start a command of its user's."""
        environ = {
            **self.world.environ,
            LAPTOP: "1",
            "HF_TOKEN": self.world.hub.tokens[OWNER],
            "HUBTRAIN_HOME": str(self.home),
            **self.environ,
            **more,
        }
        log = self.folder / f"command{len(self.clients)}"
        self.clients.append(Client.start(words, environ, log))
        return self.clients[-1]

    def run(self, *words: str, **more: str) -> Client:
        """Run a command to its end."""
        return self.start(*words, **more).wait()

    def jobs(self) -> list[dict[str, Any]]:
        """Return the jobs on record, as their providers know them now."""
        said = self.run("jobs", "--all", "--json")
        if said.code not in {0, 1} or not said.out.strip():
            raise Stuck(f"jobs --json: {said.code} {said.err[-300:]}")
        found: list[dict[str, Any]] = json.loads(said.out.splitlines()[-1])
        return found

    def diary(self) -> list[Note]:
        """Return what trainers have written so far."""
        file = self.folder / "diary"
        lines = file.read_text("utf-8").splitlines() if file.exists() else []
        fields = (line.split() for line in lines)
        return [Note(w[0], *map(int, w[1:])) for w in fields if len(w) == 4]

    def until(self, true: Callable[[], Any], what: str) -> Any:
        """Wait for the first true answer. Raises `Stuck`."""
        ends = time.monotonic() + WAIT_SECONDS
        while not (answer := true()):
            if time.monotonic() > ends:
                raise Stuck(f"{what} did not happen within {WAIT_SECONDS:.0f} s")
            time.sleep(0.02)
        return answer

    def trains(self) -> bool:
        """Whether a trainer has taken a step."""
        return any(note.what == "step" for note in self.diary())
