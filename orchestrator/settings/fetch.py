"""The text of a file of settings, of this disk or of the web.

From the web it comes over https, within limits of size and time, and no token goes along. The page
on which GitHub or the Hub shows a file is read as the file.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from worker.errors import BadConfig, HubUnreachable
from worker.loopback import is_loopback
from worker.timeout import within

if TYPE_CHECKING:
    from urllib.request import OpenerDirector

LARGEST = 1 << 20
"""Bytes a file of settings may have."""

SECONDS = 20.0
"""How long the web may take."""

_SHOWN_ON_GITHUB = re.compile(r"https?://(?:www\.)?github\.com/([^/]+/[^/]+)/(?:blob|raw)/(.+)")
_SHOWN_ON_THE_HUB = re.compile(r"(https?://[^/]+/(?:datasets/|spaces/)?[^/]+/[^/]+)/blob/(.+)")


def is_address(where: str) -> bool:
    """Whether a file is of the web and not of this disk."""
    return bool(re.match(r"https?://", where))


def content_of(where: str, seconds: float = SECONDS) -> bytes:
    """Return what is in the file at a path or an address. Raises `BadConfig`.

    The web may take `seconds`, all in all.
    """
    if is_address(where):
        return _fetched(raw(where), seconds)
    try:
        with Path(where).expanduser().open("rb") as stream:
            return _bounded(stream.read(LARGEST + 1), where)
    except (OSError, ValueError) as error:  # no file's name has a zero in it
        reason = getattr(error, "strerror", None) or error
        raise BadConfig(f"cannot read {where}: {reason}") from error


def name_of(where: str) -> str:
    """Return the name of the file at a path or an address."""
    if is_address(where):
        return where.split("?", maxsplit=1)[0].rstrip("/").rsplit("/", maxsplit=1)[-1]
    return Path(where).name


def raw(address: str) -> str:
    """Return where a file lies that GitHub or the Hub shows on a page of this address."""
    address = address.split("#", maxsplit=1)[0]
    if shown := _SHOWN_ON_GITHUB.fullmatch(address):
        return f"https://raw.githubusercontent.com/{shown[1]}/{shown[2].split('?')[0]}"
    if shown := _SHOWN_ON_THE_HUB.fullmatch(address):
        return f"{shown[1]}/resolve/{shown[2]}"
    return address


@cache
def _fetched(address: str, seconds: float) -> bytes:
    """Return what lies at an address, asked for once."""
    from http.client import HTTPException

    _refuse_http(address)
    try:  # the timeout of one read never comes where a byte is sent now and then
        content = within(seconds, lambda: _read(address, seconds), f"reading {address}")
    except HubUnreachable as error:
        raise BadConfig(f"cannot read {address}: it took longer than {seconds:g} s") from error
    except (EOFError, HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise BadConfig(f"cannot read {address}: {reason}") from error
    if _bounded(content, address).lstrip()[:1] == b"<":
        raise BadConfig(
            f"{address} is a web page and not a YAML file.", fix="Give the address of the raw file."
        )
    return content


def _read(address: str, seconds: float) -> bytes:
    """Return the whole of a file, or so much of one that is too large that this shows.

    Raises `EOFError` where the connection ends before the file does.
    """
    from urllib.error import HTTPError

    try:
        answer = _opener(address).open(address, timeout=seconds)
    except HTTPError as error:
        error.close()  # its page is not read
        raise OSError(str(error).splitlines()[0]) from error
    with answer:
        content: bytes = answer.read(LARGEST + 1)
        if len(content) <= LARGEST and answer.length:
            raise EOFError("the connection ended in the middle of it")
        return content


def _opener(asked: str) -> OpenerDirector:
    """Return what follows a redirect to where `asked` itself would have been read from."""
    from urllib.request import HTTPRedirectHandler, Request, build_opener

    class Followed(HTTPRedirectHandler):
        def redirect_request(self, *how: Any) -> Request | None:
            how[1].close()  # the page of a redirect, which may be endless, is not read
            to = str(how[-1])
            if not _is_here(asked) and _is_here(to):
                raise BadConfig(f"{asked} leads to {to}, which is this machine and not the web")
            _refuse_http(to)
            return super().redirect_request(*how)

    return build_opener(Followed)


def _is_here(address: str) -> bool:
    """Whether it is this machine's: nobody stands in between, so http will do."""
    return is_loopback(urlsplit(address).hostname)


def _refuse_http(address: str) -> None:
    if not address.startswith("https://") and not _is_here(address):
        raise BadConfig(
            f"{address} is not read: over http anybody on the way could change what it says.",
            fix=f"--config {re.sub('^http:', 'https:', address)}",
        )


def _bounded(content: bytes, where: str) -> bytes:
    if len(content) > LARGEST:
        raise BadConfig(f"{where} is larger than {LARGEST >> 20} MB; that is no file of settings")
    return content
