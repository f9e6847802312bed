"""A Docker engine of a test's own, which may be stopped, killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import LACKING

from standins.waiting import until

BRIDGE = f"hubtrain{os.getpid()}"
"""A bridge by another name than the usual: an engine told to have none deletes that of others."""

ON_DISK = Path("/var/tmp")
"""Images cannot lie in memory, as a folder for temporary files may."""


class OwnEngine:
    """A running engine that shares nothing with that of the machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"unix://{folder}/docker.sock"
        self.start()

    def start(self, *more: str) -> None:
        """Start it with what more it is told, and wait until it answers."""
        command = [
            *("dockerd", "--host", self.address, "--pidfile", f"{self.folder}/pid"),
            *("--data-root", f"{self.folder}/data", "--exec-root", f"{self.folder}/exec"),
            *(f"--bridge={BRIDGE}", "--iptables=false", "--ip-masq=false", *more),
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        until(lambda: self.docker("version", check=False))

    def docker(self, *words: str, check: bool = True) -> str:
        """Run a command of docker on it, and return what it printed."""
        ran = subprocess.run(
            ["docker", "--host", self.address, *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert ran.returncode == 0 or not check, f"docker {words[0]}: {ran.stdout}{ran.stderr}"
        return ran.stdout.strip() if ran.returncode == 0 else ""

    def take(self, image: str) -> None:
        """Fetch an image from the engine of the machine."""
        usual = {name: value for name, value in os.environ.items() if name != "DOCKER_HOST"}
        save = ["docker", "save", image]
        with subprocess.Popen(save, stdout=subprocess.PIPE, env=usual) as saving:
            load = ["docker", "--host", self.address, "load", "--quiet"]
            subprocess.run(load, stdin=saving.stdout, stdout=subprocess.DEVNULL, check=True)
        assert saving.returncode == 0

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the engine itself: what becomes of its containers is for it to say."""
        self.process.send_signal(number)
        self.process.wait(60)
        # Where process 1 buries no dead, the next takes it, or its containerd, for alive.
        for file in ("pid", "exec/containerd/containerd.pid"):
            (self.folder / file).unlink(missing_ok=True)


@contextmanager
def own_engine() -> Iterator[OwnEngine]:
    """Run an engine for as long as the block; its containers and images are gone then."""
    if os.geteuid() or not shutil.which("dockerd"):
        pytest.skip(f"root and dockerd, to start a Docker engine {LACKING}")
    _run("ip", "link", "add", BRIDGE, "type", "bridge")
    try:
        _run("ip", "address", "add", f"172.29.{os.getpid() % 256}.1/24", "dev", BRIDGE)
        _run("ip", "link", "set", BRIDGE, "up")
        with tempfile.TemporaryDirectory(prefix="hubtrain-engine-", dir=ON_DISK) as folder:
            engine = OwnEngine(Path(folder))
            try:
                yield engine
            finally:
                _end(engine)
    finally:
        _run("ip", "link", "delete", BRIDGE)


def _end(engine: OwnEngine) -> None:
    if engine.process.poll() is not None:
        engine.start()
    if left := engine.docker("ps", "--all", "--quiet").split():
        engine.docker("rm", "--force", "--volumes", *left)
    engine.stop()
    below = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mounted in sorted(path for path in below if path.startswith(f"{engine.folder}/")):
        _run("umount", "--lazy", mounted)


def _run(*words: str) -> None:
    subprocess.run(words, check=True)
