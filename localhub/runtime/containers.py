"""Spaces as containers: with `--runner docker` their Dockerfiles are really built and run.

It speaks to the engine by the program `docker`, which runs in the place of a Space's process: its
output is the Space's, and what ends it ends the container. Containers use this machine's network,
since the Hub is on loopback (so it takes root
to see which port is whose), and carry the Hub's data folder as a label, by which the next Hub finds
what a killed one left. Images stay as the engine's cache.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT

import psutil

LABEL = "localhub"
USER = "1000"
"""Whom the real Hub runs Spaces as, whatever the image says."""

WAIT = 60.0
"""Seconds within which the engine answers a question."""

LOOK = 0.2


class BuildEnded(Exception):
    """An image did not come of a build; the message is its last line, empty if it was cut short."""


@dataclass(frozen=True)
class Containers:
    """All containers of one Hub, each by the name of its run."""

    data: Path
    """Folder of the Hub."""

    def check(self) -> None:
        """Raise `RuntimeError` where no engine answers."""
        try:
            asked = _docker("version")
        except (OSError, subprocess.TimeoutExpired) as error:
            raise RuntimeError(f"docker does not answer: {error}") from error
        if asked.returncode:
            raise RuntimeError(asked.stderr.strip() or "docker does not answer")

    def build(
        self,
        app: Path,
        image: str,
        arguments: Mapping[str, str],
        log: Callable[[str], object],
        ended: threading.Event,
    ) -> None:
        """Build `image` from the files in `app`, line by line into `log`. Raises `BuildEnded`."""
        given = (f"--build-arg={name}={value}" for name, value in arguments.items())
        about = (*given, f"--label={self._label}", f"--tag={image}")
        command = ["docker", "build", "--force-rm", *about, str(app)]
        building = subprocess.Popen(command, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, text=True)
        with building:
            stopping = threading.Thread(target=_end_with, args=(building, ended), daemon=True)
            stopping.start()
            last = ""
            for line in building.stdout or ():
                log(line)
                last = line.strip() or last
        if building.returncode:
            raise BuildEnded("" if ended.is_set() else last)

    def has(self, image: str) -> bool:
        """Return whether an image is there."""
        return _docker("image", "inspect", image).returncode == 0

    def command(
        self,
        run: Path,
        image: str,
        environment: Mapping[str, str],
        volumes: Mapping[str, str],
        memory: int,
    ) -> list[str]:
        """Return what runs `image` as a run's container; its variables lie in the run's folder.

        `volumes` gives for paths in the container the folders of this machine, to read.
        """
        variables = run / "variables"
        variables.touch(mode=0o600)
        variables.write_text("".join(_lines(environment)))
        mounts = (f"--volume={folder}:{path}:ro" for path, folder in volumes.items())
        return [
            *("docker", "run", "--init", f"--name={run.name}", f"--label={self._label}"),
            *("--network=host", f"--env-file={variables}", *mounts, f"--user={USER}"),
            *(f"--memory={memory}", f"--memory-swap={memory}"),
            *("--cap-drop=ALL", "--security-opt=no-new-privileges", image),
        ]

    def processes(self, run: str) -> list[psutil.Process]:
        """Return what runs in a run's container, as far as this user may see it."""
        said = _docker("inspect", "--format", "{{.State.Pid}}", run).stdout.strip()
        with contextlib.suppress(psutil.Error, ValueError):
            first = psutil.Process(int(said)) if said not in {"", "0"} else None
            return [first, *first.children(recursive=True)] if first else []
        return []

    def ran_out_of_memory(self, run: str) -> bool:
        """Return whether the engine ended a run's container for its memory."""
        said = _docker("inspect", "--format", "{{.State.OOMKilled}}", run)
        return said.stdout.strip() == "true"

    def remove(self, *runs: str) -> None:
        """Remove the containers of runs, whatever they do; those that are gone are no error."""
        if runs:
            _docker("rm", "--force", "--volumes", *runs)

    def sweep(self, kept: set[str | None]) -> None:
        """Remove all containers of this Hub but those of the runs `kept`."""
        ours = f"label={self._label}"
        said = _docker("ps", "--all", "--filter", ours, "--format", "{{.Names}}")
        self.remove(*(name for name in said.stdout.split() if name not in kept))

    @property
    def _label(self) -> str:
        return f"{LABEL}={self.data}"


def _docker(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", *words], capture_output=True, text=True, check=False, timeout=WAIT
    )


def _end_with(building: subprocess.Popen[str], ended: threading.Event) -> None:
    """End a build when its lease has ended."""
    while building.poll() is None:
        if ended.wait(LOOK):
            building.terminate()
            return


def _lines(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield variables as docker reads them from a file, which has no lines within a value."""
    for name, value in environment.items():
        yield f"{name}={' '.join(value.splitlines())}\n"
