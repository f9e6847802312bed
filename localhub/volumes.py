"""Repos as folders inside a run, as near as plain processes come to a mount.

A process cannot mount anything at `/data`. So the files of a volume lie below the run's folder,
and every word of the command and every value of the environment that names a path below the
mount point names the folder instead. A path that a program has in its own text is out of reach.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from localhub.caller import Caller
from localhub.errors import bad_request, repo_not_found

if TYPE_CHECKING:
    from localhub.hub import Hub

KINDS = {"model", "dataset", "space"}


def checked(hub: Hub, caller: Caller, volumes: object) -> list[dict[str, Any]]:
    """Return the volumes of a request, or refuse: 400 if they make no sense, 404 if hidden."""
    if not isinstance(volumes, list):
        raise bad_request('"volumes" must be a list')
    for volume in volumes:
        if volume.get("type") == "bucket":
            raise bad_request("This Hub has no buckets; a volume can be a repo")
        if volume.get("type") not in KINDS or not str(volume.get("mountPath")).startswith("/"):
            raise bad_request('A volume needs a "type", a "source" and an absolute "mountPath"')
        paths = (str(volume["mountPath"]), str(volume.get("path") or ""))
        if any(".." in PurePosixPath(path).parts or "\0" in path for path in paths):
            raise bad_request('"mountPath" and "path" of a volume may not lead outside')
        repo = hub.repos.find(volume["type"], str(volume.get("source")))
        if repo is None or not caller.may_read(repo):
            raise repo_not_found(anonymous=caller.name is None)
    return volumes


def laid_out(hub: Hub, volumes: Sequence[Mapping[str, Any]], folder: Path) -> dict[str, str]:
    """Write the files of `volumes` below `folder`; return the mount points and where they lie."""
    places = {}
    for volume in volumes:
        repo = hub.repos.find(volume["type"], volume["source"])
        if repo is None:
            raise repo_not_found(anonymous=False)
        mount = str(volume["mountPath"]).rstrip("/")
        target = folder / mount.lstrip("/")
        sha = hub.content.sha(repo.id, volume.get("revision") or "main")
        hub.content.checkout(repo.id, sha, target)
        places[mount] = str(target / str(volume.get("path") or "").strip("/"))
    return places


def relocated(text: str, places: Mapping[str, str]) -> str:
    """Return `text` with the mount point that it begins with replaced by where that lies."""
    for mount, place in places.items():
        if mount and (text == mount or text.startswith((mount + "/", mount + ":"))):
            return place + text.removeprefix(mount)
    return text
