"""One HTTP call as a room's handlers see it: who calls, about which repo, with what body.

`endpoint` turns a plain function into a Starlette endpoint: it reads the body, runs the
function in a worker thread (so it may block on SQLite and disk) and answers refusals.
"""

from __future__ import annotations

import hmac
import json
import logging
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import IO, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from localhub.auth.caller import NOBODY, Caller
from localhub.errors import (
    Refusal,
    bad_request,
    forbidden,
    invalid_token,
    login_needed,
    repo_not_found,
)
from localhub.hub import Hub
from localhub.storage.repos import Repo

IN_MEMORY = 4 << 20
"""Bytes of a request body kept in memory; what is longer is spooled to disk."""

LOG = logging.getLogger("localhub")

NONSENSE = (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)
"""What a request of the wrong shape comes to: numbers of many digits, lists in lists in lists."""

SAFE = ("GET", "HEAD", "OPTIONS")

Answer = Response | dict[str, Any] | list[Any] | None
Handler = Callable[["Call"], Answer]
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass
class Call:
    """A request whose body has arrived. `caller` is nobody if no token came with it."""

    hub: Hub
    request: Request
    caller: Caller
    body: IO[bytes]

    def param(self, name: str, default: str = "") -> str:
        """Return a part of the path; a slash that was sent as `%2F` is a slash again."""
        return str(self.request.path_params.get(name, default)).replace("%2F", "/")

    def query(self, name: str, default: str = "") -> str:
        """Return one query parameter."""
        return str(self.request.query_params.get(name, default))

    def flag(self, name: str) -> bool:
        """Return whether a query parameter says yes."""
        return self.query(name).lower() in {"1", "true"}

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object; an empty body is an empty object."""
        data = self.body.read()
        try:
            value = json.loads(data) if data.strip() else {}
        except ValueError as error:
            raise bad_request("The body is not valid JSON") from error
        if not isinstance(value, dict):
            raise bad_request("The body should be a JSON object")
        return value

    def need_user(self) -> str:
        """Return the name of who calls, or refuse with 401."""
        if self.caller.name is None:
            raise login_needed()
        return self.caller.name

    def need_write_token(self) -> str:
        """Return the name of who calls if the token may write at all."""
        name = self.need_user()
        if self.caller.token_role == "read":
            raise forbidden("Forbidden: you must use a write token to upload to a repository.")
        return name

    def repo(self, repo_type: str | None = None, *, write: bool = False) -> Repo:
        """Return the repo named in the path (`ns`, `name`), if the caller may see (or write) it.

        A hidden repo looks absent, as on the real Hub; a renamed one redirects. The type is
        given by the route, or by the path parameter `kind` (`models`, `datasets`, `spaces`).
        """
        kind = repo_type or self.param("kind", "models").removesuffix("s")
        full_name = f"{self.param('ns')}/{self.param('name')}"
        repo = self.hub.repos.find(kind, full_name)
        if repo is None:
            moved = self.hub.repos.moved(kind, full_name)
            if moved is not None and self.caller.may_read(moved):
                raise Refusal(
                    HTTPStatus.TEMPORARY_REDIRECT,
                    f"Moved to {moved.full_name}",
                    headers={"Location": self._elsewhere(full_name, moved.full_name)},
                )
        if repo is None or not self.caller.may_read(repo):
            raise repo_not_found(anonymous=self.caller.name is None)
        if write and not self.caller.may_write(repo):
            if self.caller.name is None:
                raise login_needed()
            raise forbidden(self.caller.why_not_write(repo))
        return repo

    def readable(self) -> Repo:
        """Return the repo named in the path if the caller may also read its files.

        A gated repo refuses with 403 (401 to nobody) until its terms are accepted.
        """
        return self.opened(self.repo())

    def opened(self, repo: Repo) -> Repo:
        """Return a repo that the caller may see, if no gate is before its files, or refuse."""
        refuse_at_gate(self.hub, self.caller, repo)
        return repo

    def _elsewhere(self, old: str, new: str) -> str:
        url = self.request.url
        path = str(self.request.scope["raw_path"].decode().replace(old, new, 1))
        return path + (f"?{url.query}" if url.query else "")


def refuse_at_gate(hub: Hub, caller: Caller, repo: Repo) -> None:
    """Raise `Refusal` where a gate is before the files of a repo that the caller may see."""
    name = caller.name
    if not repo.gated or repo.ns in caller.roles:
        return
    if name and caller.opens_gates() and hub.repos.accepted(repo, name):
        return
    status = HTTPStatus.FORBIDDEN if name else HTTPStatus.UNAUTHORIZED
    known = "you are not in the authorized list" if name else "you must be authenticated"
    raise Refusal(
        status,
        f"Access to {repo.type} {repo.full_name} is restricted and {known}. Visit"
        f" {hub.endpoint}/{repo.page} to ask for access.",
        code="GatedRepo",
    )


def endpoint(hub: Hub, handler: Handler, *, admin: bool = False, form: bool = False) -> Endpoint:
    """Return a Starlette endpoint that answers with what `handler(call)` returns.

    A dict or list becomes JSON, None an empty object, a `Refusal` its status and headers.
    With `admin` only the admin token opens it, and only from this machine. With `form` it takes
    the forms of the Hub's own pages; from browsers all others take JSON alone.
    """

    incoming = str(hub.store.folder / "incoming")

    async def answer(request: Request) -> Response:
        with tempfile.SpooledTemporaryFile(IN_MEMORY, dir=incoming) as body:
            try:
                async for piece in request.stream():
                    body.write(piece)
                body.seek(0)
                return await run_in_threadpool(
                    _run, hub, handler, request, body, admin=admin, form=form
                )
            except ClientDisconnect:
                return Response(status_code=HTTPStatus.BAD_REQUEST)

    return answer


def _run(
    hub: Hub, handler: Handler, request: Request, body: IO[bytes], *, admin: bool, form: bool
) -> Response:
    try:
        if admin:
            _need_admin(hub, request)
        caller = NOBODY if admin else hub.accounts.caller(request)
        if request.method not in SAFE and caller.token is None:
            _need_own_page(hub, request, caller, form=form)
        return as_response(handler(Call(hub, request, caller, body)))
    except Refusal as refusal:
        return refusal.response()
    except NONSENSE as error:
        # A body of the wrong shape, or a mistake of ours: the traceback tells which.
        LOG.exception("%s %s", request.method, request.url.path)
        return bad_request(f"The request makes no sense here: {error!r}").response()


def _need_admin(hub: Hub, request: Request) -> None:
    near = request.client is not None and request.client.host in ("127.0.0.1", "::1")
    said = request.headers.get("authorization", "")
    if not near or not hmac.compare_digest(said.encode(), f"Bearer {hub.admin_token}".encode()):
        raise invalid_token()


def _need_own_page(hub: Hub, request: Request, caller: Caller, *, form: bool) -> None:
    """Refuse what another website sends with a browser's session, which the browser adds itself."""
    origin = request.headers.get("origin")
    if caller.name is None and (origin is None or not form):
        return
    if origin != hub.endpoint:
        raise forbidden("With a session cookie this takes requests of the Hub's own pages alone.")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not form and kind != "application/json":
        raise forbidden("With a session cookie this takes JSON alone.")


def as_response(answer: Answer) -> Response:
    """Return a handler's answer as a response."""
    if isinstance(answer, Response):
        return answer
    return JSONResponse({} if answer is None else answer)
