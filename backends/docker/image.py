"""The image of a job's container: built by the engine, once for all jobs of its kind."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from backends.base import OnProgress, silent
from backends.docker.engine import asking
from backends.docker.request import IMAGE, ContainerRequest
from backends.errors import BackendError, LaunchFailed
from backends.image_keeping import KeptImage
from worker.contract import JOB_FILE, EndReason

LABEL = "hubtrain=worker"
"""What an image of ours carries at its engine."""

TOLD_LINES = 20
"""Lines of a failed build that its error repeats."""

_STEP = re.compile(r"Step (\d+)/(\d+) : (.*)")


def build(engine: Any, request: ContainerRequest, on_progress: OnProgress = silent) -> None:
    """Build a request's image unless it is there. Raises `LaunchFailed` with its last words."""
    from docker.errors import ImageNotFound

    with asking(f"building the image {request.image}"):
        try:
            engine.images.get(request.image)
        except ImageNotFound:
            _built(engine, request, on_progress)


def _built(engine: Any, request: ContainerRequest, on_progress: OnProgress) -> None:
    context = tar({**request.files, JOB_FILE: b"{}\n"})
    lines = engine.api.build(
        fileobj=context,
        custom_context=True,
        tag=request.image,
        rm=True,
        forcerm=True,
        network_mode=request.options.docker_network,
        decode=True,
        labels=dict([LABEL.split("=")]),
    )
    said: list[str] = []
    problem = None
    for line in lines:  # to the end: the connection is given back there
        said = [*said[-TOLD_LINES:], str(line.get("stream", "")).rstrip()]
        problem = problem or line.get("error")
        if step := _STEP.match(line.get("stream", "")):
            share = (int(step[1]) - 1) / int(step[2])
            on_progress("building the image, once for all jobs of its kind", share)
    if problem:
        words = ["The image could not be built:", *filter(None, said), problem]
        raise LaunchFailed("\n  ".join(words), reason=EndReason.BUILD_ERROR)


def images(engine: Any) -> list[KeptImage]:
    """Return the images that hubtrain had this engine build, with the containers that use them."""
    with asking("listing images and containers"):
        made = engine.images.list(filters={"label": LABEL})
        there = [one.attrs for one in engine.containers.list(all=True, ignore_removed=True)]
    users: dict[str, list[str]] = {}
    for container in there:
        users.setdefault(container["Image"], []).append(container["Name"].removeprefix("/"))
    return [
        KeptImage(
            name=next(filter(is_image, one.tags), one.id),
            size_bytes=one.attrs["Size"],
            used_by=tuple(sorted(users.get(one.id, ()))),
        )
        for one in made
        if not one.tags or any(map(is_image, one.tags))
    ]


def is_image(name: str) -> bool:
    """Whether an image has a name that only ours get: one made from ours has its label, too."""
    return name.startswith(f"{IMAGE}:")


def remove(engine: Any, name: str) -> None:
    """Remove an image and the layers that no other has. Refuses one that is not ours, or in use."""
    from docker.errors import ImageNotFound

    key, value = LABEL.split("=")
    with asking(f"removing the image {name}"), suppress(ImageNotFound):
        there = engine.images.get(name)
        others = bool(there.tags) and not is_image(name)
        if others or (there.labels or {}).get(key) != value:
            raise BackendError(f"{name} was not made by hubtrain and is left alone.")
        engine.images.remove(name)


def tar(files: Mapping[str, bytes]) -> io.BytesIO:
    """Return files as an archive that everybody may read."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    packed.seek(0)
    return packed
