"""Repos and buckets as folders inside a run, as near as plain processes come to a mount.

A process cannot mount anything at `/data`. So the files of a volume lie below the run's folder,
and every word of the command and every value of the environment that names a path below the
mount point names the folder instead. A path that a program has in its own text is out of reach.
Repos are there to be read; what is written to a bucket's folder is written to the bucket.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from localhub.errors import repo_not_found
from localhub.runtime.mounts import Mount
from localhub.runtime.site import Site
from localhub.storage.repos import Repo


def laid_out(hub: Site, volumes: Sequence[Mapping[str, Any]], folder: Path) -> dict[str, str]:
    """Write the files of `volumes` below `folder`; return the mount points and where they lie."""
    places = {}
    for volume in volumes:
        repo = _source(hub, volume)
        if repo is None:
            raise repo_not_found(anonymous=False)
        mount = str(volume["mountPath"]).rstrip("/")
        target = folder / mount.lstrip("/")
        if repo.type == "bucket":
            _mount(hub, repo, volume, folder).sync()
        else:
            sha = hub.content.sha(repo.id, volume.get("revision") or "main")
            hub.content.checkout(repo.id, sha, target)
        place = target / str(volume.get("path") or "").strip("/")
        if repo.type == "bucket":
            place.mkdir(parents=True, exist_ok=True)
        places[mount] = str(place)
    return places


def mounted(hub: Site, volumes: Sequence[Mapping[str, Any]], folder: Path) -> list[Mount]:
    """Return the buckets among `volumes`, which were laid out below `folder`."""
    found = [(volume, _source(hub, volume)) for volume in volumes]
    return [
        _mount(hub, repo, volume, folder)
        for volume, repo in found
        if repo is not None and repo.type == "bucket"
    ]


def _source(hub: Site, volume: Mapping[str, Any]) -> Repo | None:
    kind, name = str(volume["type"]), str(volume["source"])
    return hub.repos.find(kind, name) or hub.repos.moved(kind, name)


def _mount(hub: Site, repo: Repo, volume: Mapping[str, Any], folder: Path) -> Mount:
    path = str(volume["mountPath"]).strip("/")
    state = f"{folder.name}-{hashlib.sha256(path.encode()).hexdigest()[:16]}.json"
    return Mount(
        hub.buckets,
        repo.id,
        folder / path,
        folder.with_name(state),
        read_only=bool(volume.get("readOnly")),
    )


def relocated(text: str, places: Mapping[str, str]) -> str:
    """Return `text` with the mount point that it begins with replaced by where that lies."""
    for mount, place in places.items():
        if mount and (text == mount or text.startswith((mount + "/", mount + ":"))):
            return place + text.removeprefix(mount)
    return text
