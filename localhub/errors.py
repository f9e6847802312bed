"""Error answers of the Hub: an HTTP status, a code for clients, and a message for people.

Knows nothing of routes; any room raises a `Refusal` and `localhub.http.call` answers it.
"""

from __future__ import annotations

import secrets
from http import HTTPStatus

from pydantic import ValidationError
from starlette.responses import JSONResponse

INVALID_CREDENTIALS = "Invalid credentials in Authorization header"
"""Clients tell a wrong token from a hidden repo by exactly these words."""


class Refusal(Exception):
    """An answer other than success. `code` becomes `X-Error-Code`, `message` `X-Error-Message`."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str = "",
        headers: dict[str, str] | None = None,
        body: dict[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.headers = headers or {}
        self.body = body

    def response(self) -> JSONResponse:
        """Return the answer with the headers the Hub puts on every refusal."""
        headers = {"X-Error-Message": _latin(self.message), **self.headers}
        if self.code:
            headers["X-Error-Code"] = self.code
        return JSONResponse(self.body or {"error": self.message}, self.status, headers)


def _latin(text: str) -> str:
    """Return `text` as a header may carry it: one line, Latin-1."""
    return " ".join(text.split()).encode("latin-1", "replace").decode("latin-1")


def request_id() -> str:
    """Return an `X-Request-Id` in the Hub's form."""
    return f"Root=1-{secrets.token_hex(4)}-{secrets.token_hex(12)}"


def invalid_token() -> Refusal:
    """Return the 401 of a token that does not exist, was revoked or is misspelt."""
    return Refusal(
        HTTPStatus.UNAUTHORIZED,
        INVALID_CREDENTIALS,
        body={"error": "Invalid username or password."},
    )


def login_needed() -> Refusal:
    """Return the 401 of a call that needs somebody, made by nobody."""
    return Refusal(HTTPStatus.UNAUTHORIZED, "Invalid username or password.")


def repo_not_found(*, anonymous: bool) -> Refusal:
    """Return how a repo that is absent or hidden looks: 401 to nobody, 404 to somebody."""
    status = HTTPStatus.UNAUTHORIZED if anonymous else HTTPStatus.NOT_FOUND
    return Refusal(status, "Repository not found", code="RepoNotFound")


def revision_not_found(revision: str) -> Refusal:
    """Return the 404 of a branch, tag or commit that is not there."""
    return Refusal(HTTPStatus.NOT_FOUND, f"Invalid rev id: {revision}", code="RevisionNotFound")


def entry_not_found(path: str) -> Refusal:
    """Return the 404 of a file that is not in the revision."""
    return Refusal(HTTPStatus.NOT_FOUND, f'Entry not found: "{path}"', code="EntryNotFound")


def bad_request(message: str) -> Refusal:
    """Return the 400 of a request that makes no sense."""
    return Refusal(HTTPStatus.BAD_REQUEST, message)


def forbidden(message: str, *, code: str = "") -> Refusal:
    """Return the 403 of somebody known who may not."""
    return Refusal(HTTPStatus.FORBIDDEN, message, code=code)


def conflict(message: str, *, body: dict[str, object] | None = None) -> Refusal:
    """Return the 409 of something that is there already."""
    return Refusal(HTTPStatus.CONFLICT, message, body=body)


def first_wrong(error: ValidationError) -> str:
    """Return the first thing that does not fit a model: where it stands, and what is wrong."""
    wrong = error.errors()[0]
    where = ".".join(str(part) for part in wrong["loc"])
    return f"{where}: {wrong['msg']}"
