"""Large files on their way in and out: the LFS batch, uploads in one piece or in parts.

Addresses that move bytes are signed and need no token, as with the real Hub's storage. Bytes
are hashed while they arrive; only a content that is what its name says enters the store.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from localhub.api.discussions.handlers import proposable
from localhub.api.signing import Signed, sign, verified
from localhub.errors import Refusal, bad_request
from localhub.http.call import Answer, Call, Endpoint, endpoint
from localhub.hub import Hub
from localhub.storage.repos import Repo

SHA256 = re.compile(r"[0-9a-f]{64}")
BATCH = ".git/info/lfs/objects/batch"
VERIFY = ".git/info/lfs/verify"
MEDIA_TYPE = "application/vnd.git-lfs+json"
WRITE_SIZE = 1 << 20
"""Bytes gathered before they are written: one trip to a thread for each."""


def routes(hub: Hub) -> list[BaseRoute]:
    """Return the routes of large files."""
    return [
        *(
            Route(f"{prefix}/{{ns}}/{{name}}{path}", endpoint(hub, handler), methods=["POST"])
            for prefix in ("", "/{kind}")
            for path, handler in ((BATCH, batch), (VERIFY, verify))
        ),
        Route("/_storage/{repo:int}/{oid}", upload(hub), methods=["PUT"]),
        Route("/_storage/{repo:int}/{oid}", download(hub), methods=["GET"]),
        Route("/_storage/{repo:int}/{oid}/{part:int}", upload_part(hub), methods=["PUT"]),
        Route("/_storage/{repo:int}/{oid}/complete", endpoint(hub, complete), methods=["POST"]),
    ]


def batch(call: Call) -> Answer:
    """Answer where each object goes, or comes from; one that is stored needs no action."""
    body = call.json()
    uploads = body.get("operation") != "download"
    if not uploads:
        repo = call.readable()
    elif body.get("ref"):
        repo = proposable(call, str(body["ref"].get("name")))
    else:
        call.need_write_token()
        repo = call.repo()
    transfers = body.get("transfers") or ["basic"]
    asked = [(str(one["oid"]), int(one["size"])) for one in body.get("objects") or []]
    in_parts = "multipart" in transfers and any(
        size > call.hub.options.multipart_above for _, size in asked
    )
    describe = to_upload if uploads else to_download
    objects = [describe(call.hub, repo, oid, size, in_parts) for oid, size in asked]
    said = call.request.headers.get("authorization", "")
    if said.lower().startswith("basic "):  # git-lfs takes what it is given, and adds no password
        for action in (one.get("actions", {}).get("verify") for one in objects):
            if action:
                action["header"] = {"Authorization": said}
    return JSONResponse(
        {"transfer": "multipart" if in_parts else "basic", "objects": objects},
        media_type=MEDIA_TYPE,
    )


def failed(oid: str, size: int, status: int, message: str) -> dict[str, Any]:
    """Return the answer for one object that cannot be served."""
    return {"oid": oid, "size": size, "error": {"code": status, "message": message}}


def to_upload(hub: Hub, repo: Repo, oid: str, size: int, in_parts: bool) -> dict[str, Any]:
    """Return how one object is to be uploaded."""
    if not SHA256.fullmatch(oid) or size < 0:
        return failed(oid, size, HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid oid or size")
    if hub.content.large.size(repo.id, oid) == size:
        return {"oid": oid, "size": size}
    base = f"/_storage/{repo.id}/{oid}"
    if in_parts and size > hub.options.multipart_above:
        count = -(-size // hub.options.part_size)
        header = {"chunk_size": str(hub.options.part_size)}
        header |= {str(n): sign(hub, "PUT", f"{base}/{n}", size) for n in range(1, count + 1)}
        action = {"href": sign(hub, "POST", base + "/complete", size), "header": header}
    else:
        action = {"href": sign(hub, "PUT", base, size), "header": {}}
    check = {"href": f"{hub.endpoint}/{repo.page}{VERIFY}", "header": {}}
    return {
        "oid": oid,
        "size": size,
        "authenticated": True,
        "actions": {"upload": action, "verify": check},
    }


def to_download(hub: Hub, repo: Repo, oid: str, size: int, _: bool) -> dict[str, Any]:
    """Return how one object is to be downloaded."""
    if hub.content.large.size(repo.id, oid) is None:
        return failed(oid, size, HTTPStatus.NOT_FOUND, "Object does not exist")
    href = sign(hub, "GET", f"/_storage/{repo.id}/{oid}", size)
    return {"oid": oid, "size": size, "actions": {"download": {"href": href, "header": {}}}}


def verify(call: Call) -> Answer:
    """Answer whether an object arrived as announced."""
    repo = call.repo()
    body = call.json()
    if call.hub.content.large.size(repo.id, str(body.get("oid"))) != body.get("size"):
        raise Refusal(HTTPStatus.NOT_FOUND, "Object does not exist, or has another size")
    return None


class Arrival:
    """Bytes on their way into a file, counted and hashed as they come."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path.open("wb")
        self.sha256 = hashlib.sha256()
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.size = 0

    def write(self, data: bytes) -> None:
        """Take some bytes."""
        self.file.write(data)
        self.sha256.update(data)
        self.md5.update(data)
        self.size += len(data)

    def settle(self) -> None:
        """Wait until everything is written to disk."""
        self.file.flush()
        os.fsync(self.file.fileno())


async def arrive(request: Request, path: Path, at_most: int) -> Arrival:
    """Write a request's body to `path`; 400 as soon as it is longer than announced."""
    arrival = Arrival(path)
    gathered = bytearray()
    with arrival.file:
        async for piece in request.stream():
            gathered += piece
            if len(gathered) >= WRITE_SIZE:
                await run_in_threadpool(arrival.write, bytes(gathered))
                gathered.clear()
            if arrival.size + len(gathered) > at_most:
                raise bad_request("The upload is longer than announced")
        await run_in_threadpool(arrival.write, bytes(gathered))
        await run_in_threadpool(arrival.settle)
    return arrival


def admit(hub: Hub, signed: Signed, arrival: Arrival) -> None:
    """Put what arrived into the store if it is what it should be."""
    if (arrival.size, arrival.sha256.hexdigest()) != (signed.size, signed.oid):
        raise bad_request(
            f"The content does not match: expected {signed.oid} of {signed.size} bytes,"
            f" got {arrival.sha256.hexdigest()} of {arrival.size}"
        )
    with hub.store.write():
        hub.store.keep("lfs", signed.oid, arrival.path)
        hub.content.large.note(signed.repo, signed.oid, signed.size)


def taking(hub: Hub, take: Callable[[Request, Path], Awaitable[Arrival]]) -> Endpoint:
    """Return an endpoint that receives a body into a temporary file and passes it to `take`."""

    async def put(request: Request) -> Response:
        path = hub.store.incoming()
        try:
            arrival = await take(request, path)
            return Response(headers={"ETag": f'"{arrival.md5.hexdigest()}"'})
        except Refusal as refusal:
            return refusal.response()
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        finally:
            path.unlink(missing_ok=True)

    return put


def upload(hub: Hub) -> Endpoint:
    """Return the endpoint that takes an object in one piece."""

    async def take(request: Request, path: Path) -> Arrival:
        signed = verified(hub, request)
        arrival = await arrive(request, path, signed.size)
        await run_in_threadpool(admit, hub, signed, arrival)
        return arrival

    return taking(hub, take)


def parts_of(hub: Hub, signed: Signed) -> Path:
    """Return the folder in which the parts of an upload wait for one another."""
    return hub.store.folder / "parts" / f"{signed.repo}-{signed.oid}"


def upload_part(hub: Hub) -> Endpoint:
    """Return the endpoint that takes one part of an object; sending it again replaces it."""

    async def take(request: Request, path: Path) -> Arrival:
        signed = verified(hub, request)
        arrival = await arrive(request, path, hub.options.part_size)
        folder = parts_of(hub, signed)
        folder.mkdir(parents=True, exist_ok=True)
        path.replace(folder / str(request.path_params["part"]))
        return arrival

    return taking(hub, take)


def complete(call: Call) -> Answer:
    """Put the parts of an upload together; 400 if one is missing or the whole is wrong."""
    signed = verified(call.hub, call.request)
    if call.hub.content.large.size(signed.repo, signed.oid) == signed.size:
        return {"success": True}
    folder = parts_of(call.hub, signed)
    path = call.hub.store.incoming()
    arrival = Arrival(path)
    try:
        with arrival.file:
            for part in call.json().get("parts") or []:
                join(folder / str(int(part["partNumber"])), str(part.get("etag")), arrival)
            arrival.settle()
        admit(call.hub, signed, arrival)
    finally:
        path.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    return {"success": True}


def join(part: Path, etag: str, arrival: Arrival) -> None:
    """Append one part to the whole."""
    if not part.exists():
        raise bad_request(f"Part {part.name} was not uploaded (etag {etag})")
    with part.open("rb") as file:
        while data := file.read(WRITE_SIZE):
            arrival.write(data)


def download(hub: Hub) -> Endpoint:
    """Return the endpoint that sends an object, or a range of it, to whoever has its address."""

    async def get(request: Request) -> Response:
        try:
            signed = verified(hub, request)
        except Refusal as refusal:
            return refusal.response()
        headers = {"ETag": f'"{signed.oid}"', "Accept-Ranges": "bytes"}
        name = request.query_params.get("filename", signed.oid)
        return FileResponse(
            hub.store.content("lfs", signed.oid),
            headers=headers,
            media_type="application/octet-stream",
            filename=name.rpartition("/")[2],
        )

    return get
