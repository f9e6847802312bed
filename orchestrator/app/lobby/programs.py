"""Programs in the name of a user: they show a token of the Hub's, and sign in nowhere.

The Hub is asked once whose token it is. Strangers may send what they like, so that a token which
the Hub does not know takes a second, one after the other: else they could spend its patience.
"""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from orchestrator.app.lobby.login import Login, named
from worker.account import who
from worker.clock import Clock
from worker.errors import NoWrite
from worker.hubclient import hub

HEADERS = ("x-hubtrain-authorization", "authorization")
"""Where a token is looked for. The Hub keeps what it reads in `Authorization` to itself."""

WRONG_SECONDS = 1.0
MOST = 1000
"""Tokens that are remembered; of more the oldest are asked about again."""

NEVER = datetime.max.replace(tzinfo=UTC)
"""When a token ends of which nobody says it."""


def shown(request: Request) -> str:
    """Return the token of the Hub's that a request shows; "" where there is none."""
    for name in HEADERS:
        scheme, _, said = request.headers.get(name, "").partition(" ")
        if scheme.lower() == "bearer" and said.strip().startswith("hf_"):
            return said.strip()
    return ""


class Programs:
    """Whose the tokens are that programs have shown."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._logins: dict[bytes, Login] = {}
        self._one_at_a_time = asyncio.Lock()

    async def login(self, token: str) -> Login | None:
        """Return whose token it is; none where the Hub does not take it.

        Raises `HubtrainError` where the Hub does not answer.
        """
        digest = hashlib.sha256(token.encode()).digest()
        if found := self._logins.get(digest):
            return found
        async with self._one_at_a_time:
            try:
                account = await run_in_threadpool(who, hub(token), self._clock)
            except NoWrite:
                await asyncio.sleep(WRONG_SECONDS)
                return None
        login = Login(named(account), token, NEVER, by_program=True)
        self._logins[digest] = login
        for old in list(self._logins)[:-MOST]:
            del self._logins[old]
        return login

    def drop(self, login: Login) -> None:
        """Forget a token, because the Hub takes it no more."""
        self._logins = {key: one for key, one in self._logins.items() if one != login}
