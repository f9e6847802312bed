"""The lines of a Space or a Job, by server-sent events, across every way a stream can end.

The Hub replays a log from its start on every connection and closes it when it likes. The
client library stops there; this reader counts what it has seen, connects again, and stops when
the machine has.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from backends.errors import JobGone
from worker.clock import Clock
from worker.errors import HubUnreachable
from worker.hubclient import endpoint, explained, hub

if TYPE_CHECKING:
    import httpx2

QUIET_SECONDS = 2.0
"""Silence after which a log that is not followed counts as read to its end."""

STALL_SECONDS = 45.0
"""Silence after which a followed stream counts as lost; the Hub says something every 30 s."""

RETRY_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Waits before connecting again; the last one repeats."""

_ABSENT = {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}
"""Answers where there is no log yet, or no longer."""


def read(log: str, token: str | None) -> Iterator[str]:
    """Yield the lines there are now in `log`, a path below `/api/`; none where there is none."""
    for event in _stream(log, token, follow=False):
        if event is not None:
            yield _text(event)


def follow(log: str, token: str | None, alive: Callable[[], bool], clock: Clock) -> Iterator[str]:
    """Yield lines as they come, each once, until the machine is not `alive` and all is read."""
    place = _Place()
    while True:
        lasting = _still(alive)  # asked before reading, so that the last lines are read
        try:
            with closing(_stream(log, token, follow=lasting)) as events:
                said = takewhile(lambda event: event is not None or _still(alive), events)
                yield from place.new_lines(said)
            if not lasting:
                return
        except HubUnreachable:
            if not lasting and place.idle >= len(RETRY_SECONDS):
                return
        clock.sleep(RETRY_SECONDS[min(place.idle, len(RETRY_SECONDS) - 1)])
        place.idle += 1


@dataclass(slots=True)
class _Place:
    """How far a log has been read. A log that begins otherwise is a restarted machine's."""

    first: dict[str, Any] | None = None
    seen: int = 0
    idle: int = 0
    """Connections since the last new line."""

    def new_lines(self, events: Iterable[dict[str, Any] | None]) -> Iterator[str]:
        for n, event in enumerate((e for e in events if e is not None), 1):
            if n == 1 and event != self.first:
                self.first, self.seen = event, 0
            if n > self.seen:
                self.seen, self.idle = n, 0
                yield _text(event)


def _still(alive: Callable[[], bool]) -> bool:
    try:
        return alive()
    except HubUnreachable:
        return True
    except JobGone:
        return False


def _stream(
    log: str, token: str | None, *, follow: bool
) -> Generator[dict[str, Any] | None, None, None]:
    """Yield the events of one connection, and none for each keep-alive of a followed one."""
    import httpx2
    from huggingface_hub.utils._headers import build_hf_headers
    from huggingface_hub.utils._http import get_session

    hub(token)  # timeouts, and the address, are its business
    stream = get_session().stream(
        "GET",
        f"{endpoint()}/api/{log}",
        headers=build_hf_headers(token=token or False),
        timeout=httpx2.Timeout(STALL_SECONDS if follow else QUIET_SECONDS, connect=10.0),
    )
    with explained(f"reading {log}"), suppress(httpx2.ReadTimeout), stream as response:
        yield from _events(response, follow)


def _events(response: httpx2.Response, follow: bool) -> Iterator[dict[str, Any] | None]:
    from huggingface_hub.utils._http import hf_raise_for_status

    if response.status_code in _ABSENT:
        return
    if response.status_code != HTTPStatus.OK:
        response.read()
        hf_raise_for_status(response)
    asked = _asked_at(response)
    for line in _lines(response.iter_bytes()):
        if line.startswith("data: {"):
            event: dict[str, Any] = json.loads(line.removeprefix("data: "))
            if not follow and _later(event, asked):
                return
            yield event
        elif line and follow:
            yield None


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """Yield lines as the protocol has them; to Python U+2028 and its like end a line as well."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line.decode("utf-8", "replace").rstrip("\r") for line in lines)


def _asked_at(response: httpx2.Response) -> datetime:
    """When the Hub began to answer, by its own clock, which tells to the second."""
    date = response.headers.get("date")
    now = parsedate_to_datetime(date).replace(tzinfo=UTC) if date else datetime.now(UTC)
    return now + timedelta(seconds=1)


def _later(event: dict[str, Any], moment: datetime) -> bool:
    try:
        at = datetime.fromisoformat(str(event.get("timestamp", "")))
    except ValueError:
        return False
    return (at if at.tzinfo else at.replace(tzinfo=UTC)) > moment


def _text(event: dict[str, Any]) -> str:
    return str(event.get("data", "")).rstrip("\r\n")
