"""The machines that Spaces and Jobs run on: prices, bills, folders, and settings for tests."""

from __future__ import annotations

import fcntl
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from localhub.runtime.containers import Containers
from localhub.runtime.logs import Log
from localhub.runtime.meter import Meter
from localhub.runtime.prices import GIB, Flavor, PriceList
from localhub.runtime.processes import GRACE
from localhub.storage.store import Store


@dataclass
class Conditions:
    """What tests may change while the Hub runs, at PUT /_local/machines; times in seconds."""

    build_seconds: float = 0.0
    """Seconds that are added to each build."""

    scheduling_seconds: float = 0.0
    """How long a Job waits for its machine."""

    endpoint_seconds: float = 0.3
    """How long an Inference Endpoint is in each state on its way to `running`."""

    grace: float = GRACE
    """How long a run has to end after SIGTERM."""

    orphan_seconds: float = 120.0
    """Seconds that a run goes on after the Hub's process has gone."""

    keep_alive: float = 30.0
    """Seconds of silence after which a stream sends a keep-alive."""

    tells_accelerators: bool = True
    """Whether a run is told how many accelerators it really gets; the real Hub does not say."""


class Machines:
    """What `localhub.runtime.spaces` and `localhub.runtime.jobs` share."""

    containers: Containers | None = None
    """What builds and runs Dockerfiles; none where Docker Spaces are plain processes."""

    def __init__(self, store: Store, folder: Path, memory: Mapping[str, int]) -> None:
        """Keep runs and logs below `folder`; `memory` has bytes by flavor, where not the usual."""
        self.store = store
        self.prices = PriceList(memory)
        self.meter = Meter(store)
        self.conditions = Conditions()
        self.runs = folder / "runs"
        self.logs = folder / "logs"
        self.lock = folder / "hub.lock"
        self._held: IO[bytes] | None = None
        store.add_schema("CREATE TABLE IF NOT EXISTS debtors (name TEXT PRIMARY KEY)")

    def open(self) -> None:
        """Take the lock that tells runs that a Hub is alive; RuntimeError if it is taken."""
        self.runs.mkdir(parents=True, exist_ok=True)
        held = self.lock.open("wb")
        try:
            _take(held)
        except OSError as error:
            held.close()
            raise RuntimeError(f"another Hub uses {self.lock.parent}") from error
        self._held = held

    def close(self) -> None:
        """Let go of the lock."""
        if self._held is not None:
            self._held.close()

    def new_run(self, prefix: str) -> Path:
        """Return the folder of a new run."""
        return self.runs / f"{prefix}-{secrets.token_hex(6)}"

    def patience(self) -> dict[str, Any]:
        """Return what an `Order` says of its end, by field."""
        grace, orphan = self.conditions.grace, self.conditions.orphan_seconds
        return {"grace": grace, "hub_lock": self.lock, "orphan_seconds": orphan}

    def described(self, flavor: Flavor) -> dict[str, str]:
        """Return what a run finds in its environment about its machine.

        No flavor has an accelerator here, whatever its name, and the run is told so: otherwise a
        program that refuses to train on a CPU at a GPU's price could not be tried on this Hub.
        """
        return {
            "ACCELERATOR": flavor.name if flavor.accelerator else "none",
            **({"ACCELERATORS": "0"} if self.conditions.tells_accelerators else {}),
            "CPU_CORES": str(flavor.vcpu),
            "MEMORY": f"{flavor.memory_limit / GIB:g}Gi",
        }

    def log(self, name: str) -> Log:
        """Return a log by name; it need not exist yet."""
        return Log(self.logs / f"{name}.jsonl")

    def may_pay(self, ns: str) -> bool:
        """Return whether a namespace has credits or a card; all do until told otherwise."""
        found = self.store.db().execute("SELECT 1 FROM debtors WHERE name=?", (ns,)).fetchone()
        return found is None

    def set_may_pay(self, ns: str, able: bool) -> None:
        """Give a namespace credits, or take them."""
        with self.store.write() as db:
            db.execute("DELETE FROM debtors WHERE name=?", (ns,))
            if not able:
                db.execute("INSERT INTO debtors VALUES (?)", (ns,))


def _take(lock: IO[bytes]) -> None:
    """Lock a file for as long as it is open, or raise OSError."""
    if sys.platform == "win32":
        raise OSError("the local Hub needs POSIX")
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
