"""Signed URLs, which need no token: method, path, size and expiry are part of the signature."""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass
from urllib.parse import quote

from starlette.requests import Request

from localhub.errors import forbidden
from localhub.hub import Hub

VALID_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signed address allows: one object of one repo."""

    repo: int
    oid: str
    size: int


def _signature(hub: Hub, *parts: object) -> str:
    text = "\n".join(str(part) for part in parts)
    return hmac.new(hub.secret("storage").encode(), text.encode(), hashlib.sha256).hexdigest()


def sign(hub: Hub, method: str, path: str, size: int, *, filename: str = "") -> str:
    """Return the full address for `method` on `path`, good for an hour."""
    expires = int(time.time()) + VALID_SECONDS
    signature = _signature(hub, method, path, size, expires)
    query = f"size={size}&expires={expires}&signature={signature}"
    if filename:
        query += f"&filename={quote(filename, safe='')}"
    return f"{hub.storage}{path}?{query}"


def verified(hub: Hub, request: Request) -> Signed:
    """Return what the address of a request allows, or refuse with 403."""
    query = request.query_params
    method = "GET" if request.method == "HEAD" else request.method
    size, expires = query.get("size", ""), query.get("expires", "")
    expected = _signature(hub, method, request.scope["path"], size, expires)
    good = hmac.compare_digest(expected, query.get("signature", ""))
    if not good or int(expires) < time.time():
        raise forbidden("SignatureDoesNotMatch: the address is not valid, or no longer")
    params = request.path_params
    return Signed(params["repo"], params["oid"], int(size))
