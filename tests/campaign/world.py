"""Where rounds are run: a Hub of its own, a house, and folders that may be small.

One world runs one round after another. Several worlds side by side share a Slurm.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from standins.localhub import HubServer

from campaign import containers
from campaign.house import ROOT, House
from campaign.planted import AGENT

OWNER = "ann"
LAPTOP = "laptop"
"""What the user's commands call themselves when they ask the Hub."""

SERVICE = ROOT / "tests" / "services" / "slurm.sh"

SMALL_DISK = "4m"


@dataclass
class World:
    """A far side, and what stands beside it."""

    folder: Path
    port: int
    has_slurm: bool = False
    """Whether there is a Slurm, which is this world's alone and may be restarted."""

    has_docker: bool = False
    """Whether there is a Docker engine, which others use as well."""

    image: str = field(default="", init=False)
    hub: HubServer = field(init=False)
    house: House = field(init=False)
    http: httpx2.Client = field(init=False)
    jobs_before: set[str] = field(default_factory=set)
    """Jobs of the Hub that rounds before this one have left."""

    def __post_init__(self) -> None:
        self.hub = HubServer(self.folder / "hub", users=(f"{OWNER}:write",), orgs=())
        self.hub.port, self.hub.options = self.port, ("--lfs-above", "10000")
        self.house = House(self.folder / "house")

    def start(self) -> World:
        """Start the Hub and a Slurm, and make the image of containers."""
        self.hub.start()
        if self.has_slurm:
            slurm("up")
        if self.has_docker:
            self.image = containers.build()
        return self

    def stop(self) -> None:
        """End what still runs."""
        self.hub.stop()
        if self.has_slurm:
            slurm("down")
        if self.image:
            containers.take_away(self.image)

    @property
    def environ(self) -> dict[str, str]:
        """What the environment of a user's command has in every round."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HUBTRAIN_", "SLURM_"))}
        conf = slurm("conf").strip() if self.has_slurm else os.devnull
        return {**kept, "SLURM_CONF": conf, AGENT: LAPTOP, "COLUMNS": "160"}

    def ask(self, path: str, **query: Any) -> Any:
        """Return what the Hub answers its owner; none where there is no such thing."""
        answer = self._get(path, query)
        return None if answer is None else answer.json()

    def read(self, path: str) -> bytes | None:
        """Return a file of the Hub; none where there is none."""
        answer = self._get(path, {})
        return None if answer is None else answer.content

    def _get(self, path: str, query: dict[str, Any]) -> httpx2.Response | None:
        with self.hub.http(OWNER) as http:
            answer = http.get(path, params=query, follow_redirects=True)
        if answer.status_code in {404, 410}:
            return None
        answer.raise_for_status()
        return answer

    def mend(self) -> None:
        """Let everything be whole again."""
        if self.hub.process is None or self.hub.process.poll() is not None:
            self.hub.restart()
        self.hub.clear_faults()
        token = self.hub.tokens[OWNER]
        self.hub.admin("PUT", "tokens", {"token": token, "revoked": False})


def slurm(verb: str) -> str:
    """Let the service do something with this world's Slurm, and return what it printed."""
    ran = subprocess.run([SERVICE, verb], check=True, stdout=subprocess.PIPE, text=True)
    return ran.stdout


class SmallDisk:
    """A disk of a few megabytes, where root may mount one."""

    def __init__(self, at: Path) -> None:
        self.at = at
        at.mkdir(parents=True)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "campaign", at], check=True
        )

    def fill(self, leave: int) -> None:
        """Write until only so many bytes are free."""
        free = shutil.disk_usage(self.at).free
        with suppress(OSError), (self.at / ".filling").open("wb") as file:
            file.write(bytes(max(0, free - leave)))

    def make_room(self) -> None:
        """Delete what fills it."""
        (self.at / ".filling").unlink(missing_ok=True)

    def close(self) -> None:
        """Take it away, also from under those who still write there."""
        subprocess.run(["umount", "--lazy", self.at], check=False)


def may_mount() -> bool:
    """Whether this user may make small disks."""
    return os.geteuid() == 0 and shutil.which("mount") is not None
