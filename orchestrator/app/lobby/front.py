"""What answers every request to the app of several users: signs in, and passes on the rest."""

from __future__ import annotations

import asyncio
import hmac
import time
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Self
from urllib.parse import urlencode

import httpx2
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.types import Receive, Scope, Send

from orchestrator.app.base import LOGOUT
from orchestrator.app.lobby import programs, proxy
from orchestrator.app.lobby.login import CALLBACK, Login, SigningIn
from orchestrator.app.lobby.quota import Quota, TooMuch
from orchestrator.app.lobby.rooms import Full, Rooms
from orchestrator.app.lobby.sessions import Sessions
from worker.account import bad_token, who
from worker.clock import Clock
from worker.errors import HubtrainError, HubUnreachable, NoWrite
from worker.hubclient import hub
from worker.show import filled
from worker.show.crosssite import from_here, is_led, with_headers

HERE = Path(__file__).parent

LOGIN = "/login"
SESSION, BEGUN = "__Host-hubtrain", "__Host-hubtrain-login"
"""Cookies: of a login, and of one that is begun. Browsers keep such names to this very host."""

SIGNED = "__sign"
"""What the Hub adds to the address in the frame of a private Space: it opens a tab there, too."""

BEGUN_SECONDS = 600
LOOK_SECONDS = 30.0
"""How often it is looked for apps that nobody uses."""

ASK_SECONDS = 600.0
"""How long it is taken for true that the Hub takes a login's token."""

DOUBT_SECONDS = 10.0
"""How long it is once something has failed, which a token that was revoked may have done."""

ENDED = "Your login has ended; jobs that run go on."


class Lobby:
    """The ASGI application, and all that it holds while it is entered."""

    def __init__(self, signing_in: SigningIn, rooms: Rooms, clock: Clock) -> None:
        self._signing_in, self._rooms, self._clock = signing_in, rooms, clock
        self._sessions = Sessions(clock)
        self._quota = Quota(rooms)
        self._programs = programs.Programs(clock)
        self._asking = proxy.client()
        self._asked: dict[Login, float] = {}
        self._doubted: set[Login] = set()
        self._tidying: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._tidying = asyncio.create_task(self._tidy())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._tidying is not None:
            self._tidying.cancel()
        await self._asking.aclose()
        await self._rooms.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; whoever is not signed in gets one sentence."""
        if scope["type"] == "http":
            request = Request(scope, receive)
            with suppress(ClientDisconnect):
                await (await self._answer(request))(scope, receive, with_headers(send, framed=True))

    async def _answer(self, request: Request) -> Response:
        path = request.url.path
        if not from_here(request) or (path == LOGOUT and is_led(request)):
            return Response(status_code=HTTPStatus.FORBIDDEN)
        if path == LOGIN:
            return await self._begin()
        if path == CALLBACK:
            return await self._finish(request)
        if path == LOGOUT:
            return await self._log_out(request.cookies.get(SESSION, ""))
        if token := programs.shown(request):
            return await self._of_program(request, token)
        return await self._of_browser(request)

    async def _of_browser(self, request: Request) -> Response:
        """Pass on what a page asks, or say that its visitor has to sign in."""
        secret = request.cookies.get(SESSION, "")
        login = self._sessions.login(secret)
        if login is None or not await self._is_taken(login):
            signed = request.query_params.get(SIGNED)
            query = f"?{urlencode({SIGNED: signed})}" if signed else ""
            return _page(ENDED if secret else "", _of_strangers(request.url.path), query=query)
        try:
            return await self._inside(request, login)
        except TooMuch as error:  # the page shows it beside the field
            return PlainTextResponse(str(error), HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        except HubtrainError as error:
            return _page(str(error), _status(error), signed_in=True)

    async def _of_program(self, request: Request, token: str) -> Response:
        """Pass on what a program asks, or tell it as data why not."""
        try:
            login = await self._programs.login(token)
            if login is not None:
                self._asked.setdefault(login, time.monotonic())
            if login is None or not await self._is_taken(login):
                return _told(bad_token(), HTTPStatus.UNAUTHORIZED)
            return await self._inside(request, login)
        except HubtrainError as error:
            return _told(error, _status(error))

    async def _inside(self, request: Request, login: Login) -> Response:
        """Return what a user's app answers. Raises `HubtrainError` where it does not."""
        try:
            room = await self._rooms.of(login)
            async with self._quota.received(request, login.name) as body:
                answer = await proxy.passed_on(self._asking, request, body, room)
        except httpx2.HTTPError as error:
            raise HubtrainError(
                "Your app does not answer: it has ended, and starts anew."
            ) from error
        if answer.status_code >= HTTPStatus.BAD_REQUEST:
            self._doubted.add(login)
        return answer

    async def _begin(self) -> Response:
        try:
            address, state = await run_in_threadpool(self._signing_in.begin)
        except HubtrainError as error:
            return _page(str(error), HTTPStatus.BAD_GATEWAY)
        answer = RedirectResponse(address, HTTPStatus.SEE_OTHER)
        _remember(answer, BEGUN, state, BEGUN_SECONDS)
        return answer

    async def _finish(self, request: Request) -> Response:
        """Let in whoever comes back from the Hub with the browser that was sent there."""
        state, code = (request.query_params.get(name, "") for name in ("state", "code"))
        begun = request.cookies.get(BEGUN, "")
        if not hmac.compare_digest(state.encode(), begun.encode()):
            return _page("This login was begun elsewhere.", HTTPStatus.FORBIDDEN)
        if request.query_params.get("error"):
            return _page("You are not signed in: the Hub was not told yes.", HTTPStatus.FORBIDDEN)
        try:
            login = await run_in_threadpool(self._signing_in.finish, state, code)
        except HubtrainError as error:
            return _page(str(error), HTTPStatus.FORBIDDEN)
        self._sessions.end(request.cookies.get(SESSION, ""))
        self._asked[login] = time.monotonic()
        answer = RedirectResponse("/", HTTPStatus.SEE_OTHER)
        seconds = int((login.until - self._clock.now()).total_seconds())
        _remember(answer, SESSION, self._sessions.open(login), seconds)
        _forget(answer, BEGUN)
        return answer

    async def _log_out(self, secret: str) -> Response:
        login = self._sessions.end(secret)
        if login is not None and not self._sessions.any_of(login.name):
            await self._rooms.leave(login)
        answer = RedirectResponse("/", HTTPStatus.SEE_OTHER)
        _forget(answer, SESSION)
        return answer

    async def _is_taken(self, login: Login) -> bool:
        """Whether the Hub still takes a login's token; asked now and then.

        Where it does not, all sessions of the login end, and its app.
        """
        now = time.monotonic()
        holds = DOUBT_SECONDS if login in self._doubted else ASK_SECONDS
        if now - self._asked.get(login, -ASK_SECONDS) < holds:
            return True
        self._asked[login] = now
        self._doubted.discard(login)
        try:
            await run_in_threadpool(who, hub(login.token), self._clock)
        except NoWrite:
            self._sessions.drop(login)
            self._programs.drop(login)
            self._asked.pop(login, None)
            await self._rooms.leave(login)
            return False
        except HubtrainError:  # the Hub does not answer: what it said last holds
            pass
        return True

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self._rooms.tidy()
            now = self._clock.now()
            self._asked = {one: at for one, at in self._asked.items() if one.until > now}
            self._doubted &= self._asked.keys()


def _of_strangers(path: str) -> HTTPStatus:
    """Return 200 for `/`, where the Hub looks whether the Space runs."""
    return HTTPStatus.OK if path == "/" else HTTPStatus.UNAUTHORIZED


def _status(error: HubtrainError) -> HTTPStatus:
    if isinstance(error, TooMuch):
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    busy = isinstance(error, Full | HubUnreachable)
    return HTTPStatus.SERVICE_UNAVAILABLE if busy else HTTPStatus.BAD_GATEWAY


def _page(said: str, status: HTTPStatus, *, signed_in: bool = False, query: str = "") -> Response:
    told = filled(HERE / "lobby.html.jinja", said=said, signed_in=signed_in, query=query)
    return HTMLResponse(told, status)


def _told(error: HubtrainError, status: HTTPStatus) -> Response:
    """Return what is wrong as the app's verbs say it."""
    from orchestrator.api.errors import failure

    return JSONResponse(failure(error).model_dump(mode="json"), status)


def _remember(answer: Response, name: str, value: str, seconds: int) -> None:
    """Set a cookie of this site's own tab: where the Hub shows the Space in a frame it has none."""
    answer.set_cookie(name, value, max_age=seconds, httponly=True, secure=True, samesite="lax")


def _forget(answer: Response, name: str) -> None:
    answer.delete_cookie(name, httponly=True, secure=True, samesite="lax")
