"""JSON web tokens: signed statements of who a user is, for whom, and until when."""

from __future__ import annotations

import time

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from localhub.hub import Hub

MINUTE = 60
DAY = 24 * 3600


def ticket(hub: Hub, audience: str, user: str, seconds: int) -> str:
    """Return a ticket by which `audience` knows `user`."""
    claims = {"aud": audience, "sub": user, "exp": int(time.time()) + seconds}
    return jwt.encode({"alg": "HS256"}, claims, _key(hub))


def holder(hub: Hub, audience: str, text: str) -> str | None:
    """Return whom a ticket names, None if it is forged, stale or for somebody else."""
    try:
        claims = jwt.decode(text, _key(hub), algorithms=["HS256"]).claims
    except (JoseError, ValueError):
        return None
    good = claims.get("aud") == audience and claims.get("exp", 0) > time.time()
    return str(claims["sub"]) if good else None


def _key(hub: Hub) -> OctKey:
    return OctKey.import_key(hub.secret("tickets"))
