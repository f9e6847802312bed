"""The volumes that a Space or a Job is to have, as requests name them."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from localhub.auth.caller import Caller
from localhub.errors import bad_request, forbidden, repo_not_found
from localhub.http.call import refuse_at_gate
from localhub.hub import Hub

KINDS = {"model", "dataset", "space", "bucket"}


def checked(hub: Hub, caller: Caller, volumes: object) -> list[dict[str, Any]]:
    """Return the volumes of a request, or refuse: 400 if they make no sense, 404 if hidden.

    What is before a gate, or may only be read, is refused with 403.
    """
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
        refuse_at_gate(hub, caller, repo)
        if repo.type == "bucket" and not volume.get("readOnly") and not caller.may_write(repo):
            raise forbidden(f"{repo.full_name} can be mounted by you with readOnly alone")
    return volumes
