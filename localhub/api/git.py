"""Git over HTTP: `git clone`, `fetch` and `push`, as far as the `git` of this machine serves them.

A person's token is the password; large files go by LFS, as everywhere.
"""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import IO

from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from localhub.api.pushes import Move, Push, take
from localhub.errors import Refusal, bad_request
from localhub.http.call import Answer, Call, Handler, endpoint
from localhub.hub import Hub
from localhub.storage.bare import Bare, environment
from localhub.storage.repos import Repo

FETCH = "git-upload-pack"
PUSH = "git-receive-pack"
COMMIT = re.compile(r"[0-9a-f]{40}")
PIECE = 1 << 16
FLUSH = b"0000"
BAND = 65_000
"""Bytes of an answer in one line of a side band, below git's limit of 65,520."""


def routes(hub: Hub) -> list[BaseRoute]:
    """Return the routes of git."""
    bare = Bare(hub.data / "bare", hub.content)
    hub.on_delete(lambda repo: hub.store.after_commit(lambda: bare.forget(repo.id)))
    paths: list[tuple[str, str, Handler]] = [
        ("info/refs", "GET", lambda call: advertise(call, bare)),
        (FETCH, "POST", lambda call: fetch(call, bare)),
        (PUSH, "POST", lambda call: push(call, bare)),
    ]
    return [
        Route(f"{prefix}/{{ns}}/{{name}}/{path}", endpoint(hub, _asked(handler)), methods=[method])
        for prefix in ("", "/{kind}")
        for path, method, handler in paths
    ]


def _asked(handler: Handler) -> Handler:
    """Return a handler whose refusals git understands: it asks for a password, or shows words."""

    def answer(call: Call) -> Answer:
        if shutil.which("git") is None:
            return _words(HTTPStatus.NOT_IMPLEMENTED, "This machine has no git to serve this with.")
        name = call.param("name").removesuffix(".git")
        call.request.path_params["name"] = name
        try:
            return handler(call)
        except Refusal as refusal:
            if refusal.status == HTTPStatus.TEMPORARY_REDIRECT:
                raise
            answer = _words(refusal.status, refusal.message)
            if refusal.status == HTTPStatus.UNAUTHORIZED:
                answer.headers["WWW-Authenticate"] = 'Basic realm="Authentication required"'
            return answer

    return answer


def _words(status: int, text: str) -> Response:
    return Response(text + "\n", status, media_type="text/plain")


def _repo(call: Call, service: str) -> Repo:
    return call.repo(write=True) if service == PUSH else call.readable()


def advertise(call: Call, bare: Bare) -> Answer:
    """Answer which refs there are and what may be asked."""
    service = call.query("service")
    if service not in (FETCH, PUSH):
        raise bad_request("Only git's smart protocol is spoken here.")
    where = bare.brought_up(_repo(call, service).id)
    speaks = call.request.headers.get("git-protocol", "")
    told = subprocess.run(
        _program(service, where, "--http-backend-info-refs"),
        capture_output=True,
        check=True,
        env=environment(GIT_PROTOCOL=speaks),
    ).stdout
    newer = service == FETCH and "version=2" in speaks
    head = b"" if newer else _line(f"# service={service}\n".encode()) + FLUSH
    return _told(head + told, service, "advertisement")


def fetch(call: Call, bare: Bare) -> Answer:
    """Answer with the objects that are asked for."""
    where = bare.brought_up(_repo(call, FETCH).id)
    asked = _body(call).read()
    speaks = call.request.headers.get("git-protocol", "")
    return StreamingResponse(
        _pieces(where, asked, speaks),
        media_type=f"application/x-{FETCH}-result",
        headers={"Cache-Control": "no-cache"},
    )


def _pieces(where: Path, asked: bytes, speaks: str) -> Iterator[bytes]:
    with tempfile.TemporaryFile() as given:
        given.write(asked)
        given.seek(0)
        with subprocess.Popen(
            _program(FETCH, where),
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(GIT_PROTOCOL=speaks),
        ) as git:
            assert git.stdout is not None
            try:
                while piece := git.stdout.read(PIECE):
                    yield piece
            finally:
                git.kill()


def push(call: Call, bare: Bare) -> Answer:
    """Take what is pushed and answer, for each ref, whether it moved."""
    repo = _repo(call, PUSH)
    where = bare.brought_up(repo.id)
    body = _body(call)
    lines = list(_lines(body))
    if not lines:  # a look whether the token will do, before much is sent
        return _told(b"", PUSH, "result")
    first, _, can = lines[0].partition("\0")
    moves = [_move(line) for line in (first, *lines[1:])]
    why = ""
    try:
        take(call.hub, repo, where, Push(call.need_user(), moves, body.read()))
    except Refusal as refusal:
        why = " ".join(refusal.message.split())
    said = [f"ng {one.ref} {why}\n" if why else f"ok {one.ref}\n" for one in moves]
    report = b"".join(_line(line.encode()) for line in ("unpack ok\n", *said)) + FLUSH
    if "side-band-64k" in can.split():
        parts = [report[at : at + BAND] for at in range(0, len(report), BAND)]
        report = b"".join(_line(b"\1" + part) for part in parts) + FLUSH
    return _told(report, PUSH, "result")


def _move(line: str) -> Move:
    old, new, ref = line.strip().split(" ", 2)
    if not COMMIT.fullmatch(old) or not COMMIT.fullmatch(new):
        raise bad_request("A ref goes from one commit to another.")
    return Move(ref, old, new)


def _program(service: str, where: Path, *more: str) -> list[str]:
    return ["git", service.removeprefix("git-"), "--stateless-rpc", *more, str(where)]


def _told(body: bytes, service: str, what: str) -> Response:
    return Response(
        body,
        media_type=f"application/x-{service}-{what}",
        headers={"Cache-Control": "no-cache"},
    )


def _body(call: Call) -> IO[bytes]:
    """Return what was sent; git compresses what is long."""
    if call.request.headers.get("content-encoding", "") in ("gzip", "x-gzip"):
        return gzip.GzipFile(fileobj=call.body)  # type: ignore[return-value]
    return call.body


def _line(data: bytes) -> bytes:
    """Return a line of git's protocol: its length in hex, itself counted, and the bytes."""
    return f"{len(data) + 4:04x}".encode() + data


def _lines(body: IO[bytes]) -> Iterator[str]:
    """Yield lines up to the flush that ends them; what follows is not read."""
    while (size := int(body.read(4) or FLUSH, 16)) > 0:
        yield body.read(size - 4).decode("utf-8", "replace")
