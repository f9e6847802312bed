"""What a job's container will be, as a value: its image, folders, limits, and no network.

The image has all but the job: jobs of one task and one version of hubtrain share it. Folders of
this machine are seen by their own names, so that what the worker tells of them is true here too.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from backends.docker.options import DockerOptions
from backends.errors import PlanRefused
from backends.image import TORCH_FILE, image_files, torch_in
from backends.local.run import RunFolder
from worker.contract import JobSpec
from worker.home import home
from worker.paths import is_path

LABEL = "hubtrain.job"
"""Label of every container of ours: the job's id."""

NAME = "hubtrain-"
"""Beginning of the names of our containers, before the job's id."""

IMAGE = "hubtrain-worker"
"""Name of our images, before the tag that follows from their files."""

APP = PurePosixPath("/home/user/app")
"""Folder of the worker in its image, where its `job.json` lies."""

COMMAND = ("python", "-m", "worker.container")
"""Takes its secrets from its standard input, and is the worker then."""

_OF_THE_IMAGE = (str(APP), "/home/user/.local", "/usr", "/etc", "/proc", "/sys", "/dev")


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder or file of this machine that the container sees by the same name."""

    path: str
    writable: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class ContainerRequest:
    """A container that runs one job."""

    job: JobSpec
    folders: tuple[Folder, ...]
    files: Mapping[str, bytes] = field(repr=False)
    """What its image is built from, by path."""

    work: str | None
    """Where the worker writes, on this machine; none: in the container."""

    place: str = ""
    """The engine that is to run it, see `backends.docker.engine`."""

    @property
    def name(self) -> str:
        """The container's name, which no other can have on one engine."""
        return f"{NAME}{self.job.job_id}"

    @property
    def found_at(self) -> str:
        """What finds the container again, whatever engine is used by then."""
        return f"{self.place}/{self.name}" if self.place else self.name

    @property
    def image(self) -> str:
        """The image's name and tag; the tag follows from its files."""
        told = hashlib.sha256()
        for path in sorted(self.files):
            told.update(f"{path}\0{len(self.files[path])}\0".encode() + self.files[path])
        return f"{IMAGE}:{told.hexdigest()[:16]}"

    @property
    def torch(self) -> str | None:
        """The torch its image installs; none for a task without."""
        return torch_in(self.files[TORCH_FILE].decode())

    @property
    def options(self) -> DockerOptions:
        """The limits it was asked for with."""
        return DockerOptions.model_validate(self.job.machine.options)

    @property
    def gpus(self) -> bool:
        """Whether it gets the engine's GPUs."""
        return bool(self.job.machine.accelerators)

    @property
    def steps(self) -> tuple[str, ...]:
        """What `launch` does, in order."""
        limits = ", ".join([*(["all GPUs"] if self.gpus else []), *self.options.limits])
        return (
            f"build the image {self.image} with {self.torch or 'no torch'}, unless it is there",
            f"create the container {self.name}{f': {limits}' if limits else ''}",
            *(f"  it sees {f.path}{'' if f.writable else ', to read'}" for f in self.folders),
            "start it, and hand it its secrets through its standard input",
        )

    def __repr__(self) -> str:
        where = f" of {self.place}" if self.place else ""
        return "\n".join([f"Container {self.name}{where}", *(f"  {step}" for step in self.steps)])

    def to_json(self) -> dict[str, Any]:
        """Return the same as plain data, for `--json`."""
        return {
            "name": self.name,
            "engine": self.place,
            "image": self.image,
            "torch": self.torch,
            "folders": [{"path": f.path, "writable": f.writable} for f in self.folders],
            "work": self.work,
            "steps": list(self.steps),
            "job": self.job.model_dump(mode="json"),
        }


def plan(job: JobSpec, place: str = "") -> ContainerRequest:
    """Return the container that runs `job`. Raises `PlanRefused` for what it cannot see."""
    folders = tuple(_folders(job))
    for folder in folders:
        _refuse_to_hide_the_image(folder)
    work = str(RunFolder.of(job.job_id).path / "work") if job.output else None
    files = image_files(job.extras or (job.task,), job.machine.accelerators)
    return ContainerRequest(job, folders, files, work, place)


def _folders(job: JobSpec) -> Iterator[Folder]:
    """Yield what a job uses of this machine: nothing, where data and model are the Hub's."""
    for ref in (job.data, job.files):
        if ref and ref.folder:
            yield Folder(ref.folder)
    named = [job.model.name if job.model else None, *job.params.values()]
    for path in dict.fromkeys(n for n in named if is_path(n) and os.path.isabs(str(n))):
        yield Folder(str(path))
    if job.output:
        yield Folder(str(Path(job.output).parent), writable=True)
        yield Folder(str(RunFolder.of(job.job_id).path), writable=True)
        yield Folder(str(models()), writable=True)


def models() -> Path:
    """Return where containers keep models of the Hub for one another.

    It is not this user's own cache: what runs in a container must not change what others load.
    """
    return home() / "container-models"


def _refuse_to_hide_the_image(folder: Folder) -> None:
    hidden = [one for one in _OF_THE_IMAGE if PurePosixPath(one).is_relative_to(folder.path)]
    if hidden:
        raise PlanRefused(
            f"A container that sees {folder.path} would not see its own {hidden[0]}.",
            fix="Work in a folder of its own: mkdir job && cd job, then the same command.",
        )
