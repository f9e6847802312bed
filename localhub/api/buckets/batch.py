"""Changes of a bucket: lines that add, copy and delete files, each of which may fail by itself.

What succeeds is one transaction, complete before anything is answered.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from localhub.errors import bad_request
from localhub.http.call import Answer, Call, endpoint
from localhub.hub import Hub
from localhub.storage.repos import Repo

MOST_LINES = 10_000
LONGEST_LINE = 16 << 10
NOTHING = "0" * 64
"""How Xet calls a content of no bytes, which no client uploads."""

Line = dict[str, Any]


def routes(hub: Hub) -> list[BaseRoute]:
    """Return the route of changes."""
    return [Route("/api/buckets/{ns}/{name}/batch", endpoint(hub, change), methods=["POST"])]


def change(call: Call) -> Answer:
    """Do what the lines say, in their order; 422 if not one of them could be done."""
    repo = call.repo("bucket", write=True)
    lines = list(_lines(call))
    failed = []
    with call.hub.store.write():
        for line in lines:
            try:
                _do(call, repo, line)
            except (ValueError, KeyError, TypeError) as error:
                failed.append({"path": str(line.get("path")), "error": _said(error)})
        call.hub.repos.touch(repo)
    call.hub.buckets.sweep(repo.id)
    done = len(lines) - len(failed)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if failed and not done else HTTPStatus.OK
    told = {"success": not failed, "processed": len(lines), "succeeded": done, "failed": failed}
    return JSONResponse(told, status)


def _lines(call: Call) -> Iterator[Line]:
    count = 0
    while line := call.body.readline(LONGEST_LINE):
        if not line.strip():
            continue
        count += 1
        if count > MOST_LINES or (len(line) == LONGEST_LINE and not line.endswith(b"\n")):
            raise bad_request(f"A batch has {MOST_LINES} lines of {LONGEST_LINE} bytes at most")
        try:
            value = json.loads(line)
        except ValueError as error:
            raise bad_request(f"Line {count} of the batch is no JSON") from error
        if not isinstance(value, dict):
            raise bad_request(f"Line {count} of the batch is no object")
        yield value


def _do(call: Call, repo: Repo, line: Line) -> None:
    what = line["type"]
    if what == "deleteFile":
        call.hub.buckets.remove(repo.id, str(line["path"]))
    elif what in ("addFile", "copyFile"):
        xet = str(line["xetHash"])
        if what == "copyFile":
            _lend(call, repo, line, xet)
        elif xet == NOTHING:
            _nothing(call.hub, repo)
        call.hub.buckets.put(repo.id, line["path"], xet, _seconds(line.get("mtime"), call))
    else:
        raise ValueError(f"there is no operation {what}")


def _seconds(milliseconds: object, call: Call) -> float:
    """Return the time that a line tells, now if it tells none."""
    if milliseconds is None:
        return call.hub.clock.now().timestamp()
    if not isinstance(milliseconds, int | float):
        raise TypeError("mtime is a number of milliseconds")
    return milliseconds / 1000


def _lend(call: Call, repo: Repo, line: Line, xet: str) -> None:
    """Give the bucket a content of another repo that the caller may read."""
    source = call.hub.repos.find(str(line["sourceRepoType"]), str(line["sourceRepoId"]))
    if source is None or not call.caller.may_read(source):
        raise ValueError(f"there is no {line['sourceRepoType']} {line['sourceRepoId']}")
    call.opened(source)
    large = call.hub.content.large
    sha256 = large.by_xet(source.id, xet)
    size = large.size(source.id, sha256) if sha256 else None
    if sha256 is None or size is None:
        raise ValueError(f"{source.full_name} has no content {xet}")
    large.note(repo.id, sha256, size)
    large.note_xet(repo.id, xet, sha256)


def _nothing(hub: Hub, repo: Repo) -> None:
    """Give the bucket the content of no bytes."""
    sha256 = hashlib.sha256(b"").hexdigest()
    hub.store.keep_bytes("lfs", sha256, b"")
    hub.content.large.note(repo.id, sha256, 0)
    hub.content.large.note_xet(repo.id, NOTHING, sha256)


def _said(error: Exception) -> str:
    return f"it has no {error}" if isinstance(error, KeyError) else str(error)
