"""Buckets over HTTP: made, listed, described, moved out of; their files listed and sent."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any
from urllib.parse import quote

from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import BaseRoute, Route

from localhub.api.files import paged
from localhub.api.nowhere import nowhere
from localhub.api.pages import page
from localhub.api.reconstructions import read_token, xet_headers
from localhub.api.repos import is_private, remove
from localhub.api.signing import sign
from localhub.api.xet import write_token
from localhub.clock import stamp
from localhub.errors import Refusal, entry_not_found, forbidden
from localhub.http.call import Answer, Call, endpoint
from localhub.hub import Hub
from localhub.storage.buckets import BucketFile
from localhub.storage.repos import Repo

ONE = "/api/buckets/{ns}/{name}"
PAGE = "/buckets/{ns}/{name}"
ME = "me"
"""In place of an owner: who calls."""


def routes(hub: Hub) -> list[BaseRoute]:
    """Return the routes of buckets, and 404 for all others below their addresses."""
    every = ["GET", "POST", "PUT", "DELETE"]
    return [
        Route("/api/buckets/{ns}", endpoint(hub, listing)),
        Route(ONE, endpoint(hub, info), methods=["GET"]),
        Route(ONE, endpoint(hub, create), methods=["POST"]),
        Route(ONE, endpoint(hub, delete), methods=["DELETE"]),
        Route(ONE + "/settings", endpoint(hub, settings), methods=["PUT"]),
        Route(ONE + "/auth-check", endpoint(hub, lambda call: _checked(call, write=False))),
        Route(ONE + "/auth-check/write", endpoint(hub, lambda call: _checked(call, write=True))),
        Route(ONE + "/xet-write-token", endpoint(hub, lambda call: write_token(call, "bucket"))),
        Route(ONE + "/xet-read-token", endpoint(hub, lambda call: read_token(call, "bucket"))),
        Route(ONE + "/tree", endpoint(hub, tree)),
        Route(ONE + "/tree/{prefix:path}", endpoint(hub, tree)),
        Route(ONE + "/paths-info", endpoint(hub, paths_info), methods=["POST"]),
        Route(PAGE + "/resolve/{path:path}", endpoint(hub, resolve)),
        Route(PAGE, endpoint(hub, seen)),
        Route("/api/buckets", endpoint(hub, nowhere)),
        Route("/api/buckets/{rest:path}", endpoint(hub, nowhere), methods=every),
        Route("/buckets/{rest:path}", endpoint(hub, nowhere), methods=every),
    ]


def create(call: Call) -> Answer:
    """Make a bucket; 409 if it is there, 403 under a namespace that is not the caller's."""
    user = call.need_write_token()
    ns = user if call.param("ns") == ME else call.param("ns")
    if not call.caller.may_create(ns):
        raise forbidden(f'You don\'t have the rights to create a bucket under the namespace "{ns}"')
    full_name = f"{ns}/{call.param('name')}"
    url = f"{call.hub.endpoint}/buckets/{full_name}"
    private = bool(is_private(call.json(), False))
    repo = call.hub.repos.create("bucket", full_name, private=private, creator=user, url=url)
    return {"url": url, "name": full_name, "id": str(repo.id)}


def delete(call: Call) -> Answer:
    """Remove a bucket and everything in it."""
    remove(call.hub, call.repo("bucket", write=True))
    return None


def settings(call: Call) -> Answer:
    """Set the visibility."""
    repo = call.repo("bucket", write=True)
    changed = call.hub.repos.change(repo, private=is_private(call.json(), None))
    return {"private": changed.private}


def _checked(call: Call, *, write: bool) -> Answer:
    call.repo("bucket", write=write)
    return PlainTextResponse("OK")


def described(hub: Hub, repo: Repo) -> dict[str, Any]:
    """Return what the API tells of a bucket."""
    files, size = hub.buckets.measured(repo.id)
    return {
        "_id": f"{repo.id:024x}",
        "id": repo.full_name,
        "author": repo.ns,
        "private": repo.private,
        "createdAt": stamp(repo.created),
        "updatedAt": stamp(repo.changed),
        "size": size,
        "totalFiles": files,
    }


def info(call: Call) -> Answer:
    """Describe a bucket."""
    return described(call.hub, call.repo("bucket"))


def listing(call: Call) -> Answer:
    """List the buckets of an owner that the caller may see, page by page."""
    ns = call.need_user() if call.param("ns") == ME else call.param("ns")
    word = call.query("search").lower()
    found = [
        repo
        for repo in call.hub.repos.list("bucket")
        if repo.ns == ns and word in repo.name.lower() and call.caller.may_read(repo)
    ]
    listed, headers = paged(call, found)
    return JSONResponse([described(call.hub, repo) for repo in listed], headers=headers)


def item(file: BucketFile) -> dict[str, Any]:
    """Return a file as the API lists it."""
    return {
        "type": "file",
        "path": file.path,
        "size": file.size,
        "xetHash": file.xet,
        "mtime": stamp(file.mtime),
        "uploadedAt": stamp(file.uploaded),
    }


def tree(call: Call) -> Answer:
    """List what begins with a prefix: all of it, or files and folders of the next level."""
    repo = call.repo("bucket")
    prefix = call.param("prefix").lstrip("/")
    files = call.hub.buckets.files(repo.id, prefix)
    found = map(item, files) if call.flag("recursive") else _level(files, prefix)
    listed, headers = paged(call, list(found))
    return JSONResponse(listed, headers=headers)


def _level(files: list[BucketFile], prefix: str) -> Iterator[dict[str, Any]]:
    """Yield the files with no slash behind the prefix, and a folder for those with one."""
    folders: dict[str, dict[str, Any]] = {}
    for file in files:
        rest = file.path[len(prefix) :]
        begin = len(file.path) - len(rest.lstrip("/"))
        head, slash, _ = file.path[begin:].partition("/")
        path = file.path[:begin] + head
        if slash:
            about = {"type": "directory", "path": path, "uploadedAt": stamp(file.uploaded)}
            folders.setdefault(path, about)
        else:
            yield item(file)
    yield from folders.values()


def paths_info(call: Call) -> Answer:
    """Describe the files of the body's paths; those that are not there are left out."""
    repo = call.repo("bucket")
    paths = [str(path) for path in call.json().get("paths") or []]
    found = (call.hub.buckets.file(repo.id, path) for path in dict.fromkeys(paths))
    return [item(file) for file in found if file]


def resolve(call: Call) -> Answer:
    """Say where the bytes of a file lie, and by what name Xet has them."""
    repo = call.repo("bucket")
    path = call.param("path")
    file = call.hub.buckets.file(repo.id, path)
    if file is None:
        raise entry_not_found(path)
    url = sign(call.hub, "GET", f"/_storage/{repo.id}/{file.sha256}", file.size, filename=path)
    headers = {
        "Location": url,
        "X-Linked-Size": str(file.size),
        "X-Linked-Etag": f'"{file.xet}"',
        **xet_headers(call.hub, repo, file.xet),
    }
    return PlainTextResponse(f"Found. Redirecting to {url}", 302, headers=headers)


def seen(call: Call) -> Answer:
    """Show a bucket's files as a page, or ask to log in."""
    try:
        repo = call.repo("bucket")
    except Refusal:
        return page(call, "404", "<p>There is no such page, or it is not yours to see.</p>", 404)
    rows = "".join(
        f'<tr><td><a href="/{repo.page}/resolve/{quote(file.path)}">{escape(file.path)}</a></td>'
        f"<td>{file.size:,}</td></tr>"
        for file in call.hub.buckets.files(repo.id)
    )
    return page(call, repo.full_name, f"<table>{rows}</table>")
