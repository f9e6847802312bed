"""Repos and buckets as folders inside a run, as near as plain processes come to a mount.

A process cannot mount anything at `/data`. So the files of a volume lie below the run's folder,
and every word of the command and every value of the environment that names a path below the
mount point names the folder instead. A path that a program has in its own text is out of reach.
Repos are there to be read; what is written to a bucket's folder is written to the bucket.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from localhub.buckets.mounts import Mount
from localhub.caller import Caller
from localhub.errors import bad_request, forbidden, repo_not_found

if TYPE_CHECKING:
    from localhub.hub import Hub
    from localhub.repos import Repo

KINDS = {"model", "dataset", "space", "bucket"}


def checked(hub: Hub, caller: Caller, volumes: object) -> list[dict[str, Any]]:
    """Return the volumes of a request, or refuse: 400 if they make no sense, 404 if hidden."""
    if not isinstance(volumes, list):
        raise bad_request('"volumes" must be a list')
    for volume in volumes:
        if volume.get("type") not in KINDS or not str(volume.get("mountPath")).startswith("/"):
            raise bad_request('A volume needs a "type", a "source" and an absolute "mountPath"')
        paths = (str(volume["mountPath"]), str(volume.get("path") or ""))
        if any(".." in PurePosixPath(path).parts or "\0" in path for path in paths):
            raise bad_request('"mountPath" and "path" of a volume may not lead outside')
        repo = hub.repos.find(volume["type"], str(volume.get("source")))
        if repo is None or not caller.may_read(repo):
            raise repo_not_found(anonymous=caller.name is None)
        if repo.type == "bucket" and not volume.get("readOnly") and not caller.may_write(repo):
            raise forbidden(f"{repo.full_name} can be mounted by you with readOnly alone")
    return volumes


def laid_out(hub: Hub, volumes: Sequence[Mapping[str, Any]], folder: Path) -> dict[str, str]:
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


def mounted(hub: Hub, volumes: Sequence[Mapping[str, Any]], folder: Path) -> list[Mount]:
    """Return the buckets among `volumes`, which were laid out below `folder`."""
    found = [(volume, _source(hub, volume)) for volume in volumes]
    return [
        _mount(hub, repo, volume, folder)
        for volume, repo in found
        if repo is not None and repo.type == "bucket"
    ]


def _source(hub: Hub, volume: Mapping[str, Any]) -> Repo | None:
    kind, name = str(volume["type"]), str(volume["source"])
    return hub.repos.find(kind, name) or hub.repos.moved(kind, name)


def _mount(hub: Hub, repo: Repo, volume: Mapping[str, Any], folder: Path) -> Mount:
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
