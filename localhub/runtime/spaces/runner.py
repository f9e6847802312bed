"""What a Space is on this Hub: a process of this machine, or a container of a Docker engine."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from localhub.runtime.containers import BuildEnded
from localhub.runtime.machines import Machines
from localhub.runtime.processes import Run, clean_environment
from localhub.runtime.spaces.build import BuildFailure, Built, build
from localhub.runtime.spaces.records import SpaceStage
from localhub.runtime.volumes import relocated


def made(
    machines: Machines,
    app: Path,
    mark: str,
    arguments: Mapping[str, str],
    *,
    ended: threading.Event,
    log: Callable[..., None],
) -> Built:
    """Return what to start of the files in `app`; the engine's image is there then.

    `mark` names what is built. Raises `BuildFailure`; a build ends when `ended` is set.
    """
    containers = machines.containers
    if containers is None:
        return build(app, arguments, log)
    image = f"localhub-space:{mark[:16]}"

    def make_image() -> str:
        try:
            if not containers.has(image):
                containers.build(app, image, arguments, log, ended)
        except BuildEnded as error:
            why = f"Job failed with exit code: 1. {error}"
            raise BuildFailure(SpaceStage.BUILD_ERROR, why) from error
        return image

    return build(app, arguments, log, make_image)


def command(
    machines: Machines,
    built: Built,
    folder: Path,
    environment: Mapping[str, str],
    *,
    places: Mapping[str, str],
    memory: int,
) -> tuple[list[str], dict[str, str]]:
    """Return what a process of this machine has to run, and its environment.

    `places` has where the volumes lie, `memory` is in bytes.
    """
    if built.image and machines.containers:
        words = machines.containers.command(folder, built.image, environment, places, memory)
        to_docker = {name: value for name, value in os.environ.items() if "DOCKER" in name}
        return words, clean_environment(folder) | to_docker
    argv, _ = built.here(folder / "app")
    moved = {key: relocated(value, places) for key, value in environment.items()}
    return [relocated(word, places) for word in argv], moved


def listening(machines: Machines, run: Run, ports: Iterable[int]) -> int | None:
    """Return the first of `ports` on which a Space's own program accepts connections."""
    if machines.containers is None:
        return run.listening(ports)
    return run.listening(ports, machines.containers.processes(run.folder.name))
