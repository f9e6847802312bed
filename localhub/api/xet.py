"""Uploads by Xet, which stock clients prefer for large files: what they send becomes an LFS object.

Chunks are kept for each repo, since clients remember what they have sent and do not send it again.
How files leave by Xet is `reconstructions`' business.
"""

from __future__ import annotations

import shutil
import time
from http import HTTPStatus
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from localhub.api.discussions.handlers import proposable
from localhub.api.lfs import SHA256, Arrival, admit
from localhub.api.repos import ONE
from localhub.api.signing import Signed
from localhub.errors import Refusal, bad_request, forbidden, repo_not_found
from localhub.http.call import Answer, Call, endpoint
from localhub.hub import Hub
from localhub.storage.repos import Repo
from localhub.storage.xet import Described, chunks, read_shard

VALID_SECONDS = 24 * 3600
MOST_BYTES = 64 << 20
"""Of a xorb, as the protocol has it."""

CAS = "/_xet/{data}/{repo:int}"
"""The address holds which data folder it is: what a client remembers of another is not here."""


def routes(hub: Hub) -> list[BaseRoute]:
    """Return the routes of Xet."""
    hub.on_delete(
        lambda repo: hub.store.after_commit(
            lambda: shutil.rmtree(_folder(hub, repo), ignore_errors=True)
        )
    )
    return [
        Route(ONE + "/xet-write-token/{rev:path}", endpoint(hub, write_token)),
        Route(CAS + "/v1/xorbs/{prefix}/{hash}", endpoint(hub, xorb), methods=["POST"]),
        Route(CAS + "/v1/shards", endpoint(hub, shard), methods=["POST"]),
        Route(CAS + "/{rest:path}", unknown, methods=["GET", "POST"]),
    ]


def write_token(call: Call, kind: str | None = None) -> Answer:
    """Answer where the chunks of a repo's files go; the token for it is the caller's own."""
    call.need_write_token()
    if kind is None and not call.flag("create_pr"):
        repo = proposable(call, call.param("rev"))
    else:
        repo = call.repo(kind, write=kind is not None)
    if call.caller.token is None:
        raise forbidden("By Xet only those can upload who come with a token.")
    return connection(call.hub, repo, call.caller.token.value)


def connection(hub: Hub, repo: Repo, token: str) -> JSONResponse:
    """Return where the chunks of a repo are and a token for them, as body and as headers."""
    address = f"{hub.endpoint}/_xet/{hub.secret('xet')}/{repo.id}"
    exp = int(time.time()) + VALID_SECONDS
    headers = {
        "X-Xet-Cas-Url": address,
        "X-Xet-Access-Token": token,
        "X-Xet-Token-Expiration": str(exp),
    }
    return JSONResponse({"casUrl": address, "accessToken": token, "exp": exp}, headers=headers)


async def unknown(request: Request) -> Response:
    """Answer 404 for a chunk of others' files and for what is newer: clients then do it simply."""
    said = f"{request.path_params['rest']} is not known here"
    return Refusal(HTTPStatus.NOT_FOUND, said).response()


def xorb(call: Call) -> Answer:
    """Keep a xorb under its name; whether it is what it is called shows in the files made of it."""
    path = _xorb(call.hub, _repo(call), call.param("hash"))
    if path.exists():
        return {"was_inserted": False}
    arriving = call.hub.store.incoming()
    try:
        with arriving.open("wb") as file:
            shutil.copyfileobj(call.body, file)
            if file.tell() > MOST_BYTES:
                raise bad_request("A xorb has at most 64 MiB")
        path.parent.mkdir(parents=True, exist_ok=True)
        arriving.replace(path)
    finally:
        arriving.unlink(missing_ok=True)
    return {"was_inserted": True}


def shard(call: Call) -> Answer:
    """Put the files of a shard together and keep those that are what they should be."""
    repo = _repo(call)
    try:
        for one in read_shard(call.body.read()):
            sha256 = one.sha256 or call.hub.content.large.by_xet(repo.id, one.name)
            if not sha256 or call.hub.content.large.size(repo.id, sha256) != one.size:
                sha256 = _put_together(call.hub, repo, one)
            call.hub.content.large.note_xet(repo.id, one.name, sha256)
    except ValueError as error:
        raise bad_request(f"The shard makes no sense: {error}") from error
    return {"result": 1}


def _put_together(hub: Hub, repo: Repo, described: Described) -> str:
    """Keep a file as a large content of the repo, and return its SHA-256."""
    path = hub.store.incoming()
    arrival = Arrival(path)
    try:
        with arrival.file:
            for term in described.terms:
                if not (kept := _xorb(hub, repo, term.xorb)).exists():
                    raise ValueError(f"nobody has uploaded the xorb {term.xorb}")
                with kept.open("rb") as file:
                    for piece in chunks(file, term.first, term.last):
                        arrival.write(piece)
            arrival.settle()
        sha256 = described.sha256 or arrival.sha256.hexdigest()
        admit(hub, Signed(repo.id, sha256, described.size), arrival)
    finally:
        path.unlink(missing_ok=True)
    return sha256


def _repo(call: Call) -> Repo:
    """Return the repo of the address, if the caller may bring files for it."""
    call.need_write_token()
    repo = call.hub.repos.by_id(int(call.param("repo")))
    if repo is None or not call.caller.may_read(repo):
        raise repo_not_found(anonymous=False)
    if repo.type == "bucket" and not call.caller.may_write(repo):  # which takes no proposals
        raise forbidden(call.caller.why_not_write(repo))
    return repo


def _folder(hub: Hub, repo: Repo) -> Path:
    return hub.data / "xet" / str(repo.id)


def _xorb(hub: Hub, repo: Repo, name: str) -> Path:
    if not SHA256.fullmatch(name):
        raise bad_request(f"{name} is not the name of a xorb")
    return _folder(hub, repo) / name
