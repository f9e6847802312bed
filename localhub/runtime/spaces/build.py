"""From a commit to something that can be started: reads README and Dockerfile, lays out files.

No image is made here: RUN and COPY are told in the build log and skipped, since plain processes of
this machine are started. Errors that a build would find are still found. With `--runner docker` an
engine builds the image instead, see `localhub.runtime.containers`.
"""

from __future__ import annotations

import glob
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from localhub.runtime.spaces import dockerfile, readme
from localhub.runtime.spaces.records import SpaceStage
from localhub.runtime.volumes import relocated

NOT_RUN = {"RUN", "COPY", "ADD"}


class BuildFailure(Exception):
    """A Space cannot be started as it is; `stage` is where that leaves it."""

    def __init__(self, stage: SpaceStage, message: str) -> None:
        super().__init__(message)
        self.stage = stage


@dataclass(frozen=True)
class Built:
    """What to start: `environment` and `argv` are the image's own."""

    config: readme.FrontMatter
    argv: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    workdir: str = "/app"
    """The container's work folder, which on this machine is the run's `app/`."""

    image: str | None = None
    """The image that the engine has built; none for a process of this machine."""

    def here(self, app: Path) -> tuple[list[str], dict[str, str]]:
        """Return argv and environment with paths below `workdir` moved below `app`."""
        places = {self.workdir.rstrip("/"): str(app)}
        environment = {name: relocated(value, places) for name, value in self.environment.items()}
        return [relocated(word, places) for word in self.argv], environment


def configuration(app: Path) -> readme.FrontMatter:
    """Return what the README in `app` says, or raise `BuildFailure`."""
    path = app / "README.md"
    if not path.is_file():
        raise BuildFailure(SpaceStage.NO_APP_FILE, "")
    try:
        return readme.read(path.read_text("utf-8", "replace"))
    except readme.ConfigError as error:
        raise BuildFailure(SpaceStage.CONFIG_ERROR, str(error)) from error


def build(
    app: Path,
    arguments: Mapping[str, str],
    log: Callable[..., None],
    make_image: Callable[[], str] | None = None,
) -> Built:
    """Read the files in `app` and return what to start; the reason of a failure is logged too.

    `make_image` has a Dockerfile built and returns the name of its image, where an engine runs it.
    """
    config = configuration(app)
    if config.sdk == "docker" and make_image is not None:
        if not (app / "Dockerfile").is_file():
            raise BuildFailure(SpaceStage.NO_APP_FILE, "")
        return Built(config, [], image=make_image())
    make = {"docker": _docker, "gradio": _gradio, "static": _static}.get(config.sdk)
    if make is None:
        raise BuildFailure(SpaceStage.CONFIG_ERROR, f"The sdk {config.sdk} is no longer supported")
    return make(app, config, arguments, log)


def _docker(
    app: Path, config: readme.FrontMatter, arguments: Mapping[str, str], log: Callable[..., None]
) -> Built:
    path = app / "Dockerfile"
    if not path.is_file():
        raise BuildFailure(SpaceStage.NO_APP_FILE, "")
    try:
        image = dockerfile.read(path.read_text("utf-8", "replace"), arguments)
        _tell(image, app, log)
    except dockerfile.DockerfileError as error:
        log(f"ERROR: failed to build: {error}\n")
        raise BuildFailure(
            SpaceStage.BUILD_ERROR, f"Job failed with exit code: 1. {error}"
        ) from error
    return Built(config, image.argv, image.environment, image.workdir)


def _tell(image: dockerfile.Image, app: Path, log: Callable[..., None]) -> None:
    """Log each step as a build would, and stop at the first one that would fail."""
    for step in image.steps:
        skipped = " (not run: this Hub starts plain processes)" if step.name in NOT_RUN else ""
        log(f"--> {step}{skipped}\n")
    for source in image.copied:
        pattern = source.lstrip("/").removeprefix("./") or "."
        if not glob.glob(pattern, root_dir=app, include_hidden=True):
            raise dockerfile.DockerfileError(f'COPY {source}: "/{pattern}": not found')
    if not image.argv:
        raise dockerfile.DockerfileError("no command specified")


def _gradio(
    app: Path, config: readme.FrontMatter, arguments: Mapping[str, str], log: Callable[..., None]
) -> Built:
    file = config.app_file or "app.py"
    if not (app / file).is_file():
        raise BuildFailure(SpaceStage.NO_APP_FILE, "")
    log("--> gradio as installed on this machine\n")
    return Built(config, ["python", file])


def _static(
    app: Path, config: readme.FrontMatter, arguments: Mapping[str, str], log: Callable[..., None]
) -> Built:
    serve = 'exec "$0" -m http.server --bind 127.0.0.1 "$GRADIO_SERVER_PORT"'
    return Built(config, ["/bin/sh", "-c", serve, sys.executable])
