"""What browsers send, while gradio receives it: where it lies, and what is said where it cannot be.

Gradio leaves behind what has come of a file when its connection breaks off or the disk is full, and
says no more than that something went wrong. Here that is removed, and told.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.app.writing.received import received_in
from orchestrator.jobs.lock import is_locked, locked

UPLOAD = "/gradio_api/upload"
"""Address at which gradio takes files."""

_PREFIX, _LOCK = "hubtrain-app-", "lock"


@contextmanager
def folder() -> Iterator[Path]:
    """Make a folder for what is received, which ends with the app; remove those of killed apps."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_LOCK}"):
        if not is_locked(left):
            shutil.rmtree(left.parent, ignore_errors=True)
    with (
        tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as made,
        locked(Path(made) / _LOCK),
    ):
        (files := Path(made) / "files").mkdir()
        yield files


class Receiving:
    """ASGI middleware: of a file that does not arrive whole nothing stays, and why is said."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._now = 0
        """Uploads that come in at this moment."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request; of an upload that fails, say what the disk said."""
        if scope["type"] != "http" or scope["path"] != UPLOAD:
            await self.app(scope, receive, send)
            return
        failed = False

        async def sending(message: Message) -> None:
            nonlocal failed
            failed = failed or message.get("status") == HTTPStatus.INTERNAL_SERVER_ERROR
            if not failed:
                await send(message)

        self._now += 1
        try:
            await self.app(scope, receive, sending)
        except ClientDisconnect:  # nobody is there to be told
            pass
        except OSError as error:
            why = f"the app has no place to keep it: {error.strerror}."
            await PlainTextResponse(why, HTTPStatus.INSUFFICIENT_STORAGE)(scope, receive, send)
        finally:
            self._now -= 1
            if not self._now:
                _clear_halves()


def _clear_halves() -> None:
    """Remove what did not arrive whole; what did lies in folders."""
    for one in received_in().iterdir():
        if one.is_file():
            one.unlink(missing_ok=True)
