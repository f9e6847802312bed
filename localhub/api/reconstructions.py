"""Downloads by Xet: which chunks a file is put together from, and where they are to be had.

Every large content can be had so, however it came: it is told as if it had been stored in pieces
of one size, each a chunk that nobody compressed. The chunks that an upload came in are not used.
After the public specification of the Xet protocol (huggingface.co/docs/xet: CAS API, xorb).
"""

from __future__ import annotations

import hashlib
import re
from http import HTTPStatus
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from localhub.api.repos import ONE
from localhub.api.signing import sign, verified
from localhub.api.xet import CAS, VALID_SECONDS, connection
from localhub.auth.caller import NOBODY
from localhub.errors import Refusal, invalid_token
from localhub.http.call import Answer, Call, Endpoint, endpoint
from localhub.http.tickets import holder, ticket
from localhub.hub import Hub
from localhub.storage.repos import Repo
from localhub.storage.xet import CHUNK_HEADER, PLAIN

CHUNK = 64 << 10
TERM = 64 * CHUNK
"""Bytes of a file that are told, and sent, as one xorb."""

ANYBODY = ""
"""Whom the ticket of a visitor without a name names."""

RANGE = re.compile(r"bytes=(\d+)-(\d*)")


def routes(hub: Hub) -> list[BaseRoute]:
    """Return the routes by which files leave in chunks."""
    return [
        Route(ONE + "/xet-read-token/{rev:path}", endpoint(hub, read_token)),
        Route(CAS + "/v1/reconstructions/{xet}", reconstruction(hub), methods=["GET"]),
        Route("/_xet/chunks/{repo:int}/{oid}/{part:int}", chunks(hub), methods=["GET"]),
    ]


def read_token(call: Call, kind: str | None = None) -> Answer:
    """Answer where the chunks of a repo's files are, with a ticket that opens these alone."""
    repo = call.opened(call.repo(kind))
    user = call.caller.name or ANYBODY
    return connection(call.hub, repo, ticket(call.hub, _audience(repo.id), user, VALID_SECONDS))


def xet_headers(hub: Hub, repo: Repo, xet: str, revision: str = "") -> dict[str, str]:
    """Return the headers by which a client knows that it can have a file by Xet."""
    address = f"{hub.endpoint}/api/{repo.type}s/{repo.full_name}/xet-read-token{revision}"
    return {"X-Xet-Hash": xet, "Link": f'<{address}>; rel="xet-auth"'}


def reconstruction(hub: Hub) -> Endpoint:
    """Return the endpoint that tells, to whoever has a ticket, the parts of a file or a range."""

    async def get(request: Request) -> Response:
        try:
            return JSONResponse(await run_in_threadpool(_parts, hub, request))
        except Refusal as refusal:
            return refusal.response()

    return get


def _parts(hub: Hub, request: Request) -> dict[str, Any]:
    repo = _opened(hub, request)
    large = hub.content.large
    sha256 = large.by_xet(repo, request.path_params["xet"])
    size = sha256 and large.size(repo, sha256)
    if not sha256 or not size:
        raise Refusal(HTTPStatus.NOT_FOUND, "There is no such file")
    first, last = asked(request, size)
    terms = [_term(sha256, size, part) for part in range(first // TERM, last // TERM + 1)]
    return {
        "offset_into_first_range": first % TERM,
        "terms": terms,
        "fetch_info": {
            term["hash"]: [_where(hub, repo, sha256, first // TERM + number, term)]
            for number, term in enumerate(terms)
        },
    }


def _opened(hub: Hub, request: Request) -> int:
    """Return the repo of the address, if a ticket opens it to somebody who may still read it."""
    number = int(request.path_params["repo"])
    said = request.headers.get("authorization", "").partition(" ")[2].strip()
    user = holder(hub, _audience(number), said)
    if user is None:
        raise invalid_token()
    repo = hub.repos.by_id(number)
    caller = hub.accounts.caller_of(user) if user else NOBODY
    if repo is None or not caller.may_read(repo):
        raise invalid_token()
    return number


def asked(request: Request, size: int) -> tuple[int, int]:
    """Return the first and the last byte of a request's range, the whole where it has none."""
    match = RANGE.fullmatch(request.headers.get("range", "bytes=0-"))
    first = int(match[1]) if match else 0
    last = min(int(match[2]), size - 1) if match and match[2] else size - 1
    if first > last:
        raise Refusal(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, f"The file has {size} bytes")
    return first, last


def _term(sha256: str, size: int, part: int) -> dict[str, Any]:
    length = min(TERM, size - part * TERM)
    return {
        "hash": hashlib.sha256(f"{sha256} {part}".encode()).hexdigest(),
        "unpacked_length": length,
        "range": {"start": 0, "end": -(-length // CHUNK)},
    }


def _where(hub: Hub, repo: int, sha256: str, part: int, term: dict[str, Any]) -> dict[str, Any]:
    packed = term["unpacked_length"] + CHUNK_HEADER * term["range"]["end"]
    return {
        "range": term["range"],
        "url": sign(hub, "GET", f"/_xet/chunks/{repo}/{sha256}/{part}", packed),
        "url_range": {"start": 0, "end": packed - 1},
    }


def chunks(hub: Hub) -> Endpoint:
    """Return the endpoint that sends a part of a content in chunks, or a range of its bytes."""

    async def get(request: Request) -> Response:
        try:
            signed = verified(hub, request)
            first, last = asked(request, signed.size)
            packed = await run_in_threadpool(_packed, hub, signed.oid, request.path_params["part"])
        except Refusal as refusal:
            return refusal.response()
        headers = {"Content-Range": f"bytes {first}-{last}/{len(packed)}"}
        return Response(
            packed[first : last + 1],
            HTTPStatus.PARTIAL_CONTENT,
            headers=headers,
            media_type="application/octet-stream",
        )

    return get


def _packed(hub: Hub, sha256: str, part: int) -> bytes:
    """Return a part of a content as a xorb has it: chunks, each with its head."""
    try:
        with hub.store.content("lfs", sha256).open("rb") as file:
            file.seek(part * TERM)
            data = file.read(TERM)
    except FileNotFoundError:
        raise Refusal(HTTPStatus.NOT_FOUND, "It was removed in the meantime") from None
    pieces = (data[at : at + CHUNK] for at in range(0, len(data), CHUNK))
    return b"".join(_head(len(piece)) + piece for piece in pieces)


def _head(size: int) -> bytes:
    """Return what stands before a chunk that nobody compressed."""
    length = size.to_bytes(3, "little")
    return bytes([0, *length, PLAIN, *length])


def _audience(repo: int) -> str:
    return f"xet-{repo}"
