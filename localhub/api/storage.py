"""What a repo takes up: its large files, also those only old commits hold, and their removal.

A deleted large file counts until it is removed here for good, or its repo is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from localhub.api.files import paged
from localhub.api.repos import ONE
from localhub.clock import stamp
from localhub.errors import bad_request, forbidden
from localhub.http.call import Answer, Call, endpoint
from localhub.hub import Hub
from localhub.storage.content import Commit
from localhub.storage.gitobjects import TreeEntry
from localhub.storage.repos import PREFIX, Repo

UNREFERENCED = "unknown"
"""Name of a large file that no branch holds any more."""


def routes(hub: Hub) -> list[BaseRoute]:
    """Return the routes about storage."""
    return [
        Route("/api/settings/repositories", endpoint(hub, owned)),
        Route("/api/organizations/{ns}/settings/repositories", endpoint(hub, owned)),
        Route(ONE + "/lfs-files", endpoint(hub, large_files)),
        Route(ONE + "/lfs-files/batch", endpoint(hub, remove), methods=["POST"]),
    ]


def owned(call: Call) -> Answer:
    """List all that an owner has, of every type, with what it takes up; the caller's own or one
    of their organisations'.
    """
    ns = call.param("ns") or call.need_user()
    if ns not in call.caller.roles:
        raise forbidden(f"Only members of {ns} see what it has")
    repos = [repo for kind in PREFIX for repo in call.hub.repos.list(kind) if repo.ns == ns]
    taken = {repo.id: call.hub.content.large.used(repo.id) for repo in repos}
    listed = [
        {
            "id": repo.full_name,
            "type": repo.type,
            "updatedAt": stamp(repo.changed),
            "visibility": "private" if repo.private else "public",
            "storage": taken[repo.id],
            "storagePercent": 100 * taken[repo.id] / (sum(taken.values()) or 1),
        }
        for repo in repos
        if call.caller.may_read(repo)
    ]
    page, headers = paged(call, listed)
    return JSONResponse(page, headers=headers)


def large_files(call: Call) -> Answer:
    """List every large file the repo was ever given and still keeps."""
    repo = call.repo(write=True)
    places = {
        blob.sha256: (path, blob.oid, commit, ref)
        for ref, commit in tips(call.hub, repo)
        for path, entry in files_of(call.hub, commit)
        if (blob := call.hub.content.blob(entry.oid)).sha256
    }
    listed: list[dict[str, Any]] = []
    for sha256, size in call.hub.content.large.files(repo.id).items():
        path, oid, commit, ref = places.get(sha256, (UNREFERENCED, sha256, None, None))
        pushed = commit.created if commit else repo.created
        one = {"fileOid": sha256, "oid": oid, "filename": path, "size": size, "ref": ref}
        listed.append(one | {"pushedAt": stamp(pushed)})
    page, headers = paged(call, listed)
    return JSONResponse(page, headers=headers)


def tips(hub: Hub, repo: Repo) -> Iterator[tuple[str, Commit]]:
    """Yield every ref and the commit it is at."""
    for ref, sha in hub.content.refs(repo.id).items():
        yield ref, hub.content.commit(repo.id, sha)


def files_of(hub: Hub, commit: Commit) -> Iterator[tuple[str, TreeEntry]]:
    """Yield path and entry of every file of a commit."""
    return ((path, one) for path, one in hub.content.walk(commit.tree) if not one.is_folder)


def remove(call: Call) -> Answer:
    """Remove large files for good; branches that held them go on without them.

    With `rewriteHistory` every branch is left as one commit without those files, so that no
    commit names what is gone; without it, old commits keep names that lead nowhere.
    """
    repo = call.repo(write=True)
    asked = call.json().get("deletions") or {}
    gone = asked.get("sha")
    if not isinstance(gone, list):
        raise bad_request("deletions.sha should be a list")
    with call.hub.store.write():
        if asked.get("rewriteHistory"):
            for ref, commit in list(tips(call.hub, repo)):
                rewrite(call, repo, ref, commit, set(gone))
        call.hub.content.large.forget(repo.id, [str(one) for one in gone])
        call.hub.repos.touch(repo)
    call.hub.content.large.sweep([str(one) for one in gone])
    return None


def rewrite(call: Call, repo: Repo, ref: str, commit: Commit, gone: set[str]) -> None:
    """Leave a ref as one commit without the removed files, if it held any."""
    content = call.hub.content
    files = {path: entry.oid for path, entry in files_of(call.hub, commit)}
    kept = {path: oid for path, oid in files.items() if content.blob(oid).sha256 not in gone}
    if kept == files and not commit.parents:
        return
    sha = content.add_commit(
        repo.id,
        kept,
        parents=(),
        author=call.need_user(),
        when=call.hub.clock.now(),
        message=commit.message,
    )
    content.set_ref(repo.id, ref, sha)
