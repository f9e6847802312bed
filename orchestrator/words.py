"""Money, time and size as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from worker.duration import roughly
from worker.money import money

__all__ = ["ago", "already", "clock_time", "count", "listed", "money", "size"]

_UNITS = ("B", "kB", "MB", "GB", "TB")


def ago(then: datetime, now: datetime) -> str:
    """Return how long ago it was: `2 h 05 min ago`."""
    return f"{roughly(max(0.0, (now - then).total_seconds()))} ago"


def clock_time(then: datetime, now: datetime) -> str:
    """Return a time of day as its reader's clock shows it, with the date if it is another day."""
    there = then.astimezone()
    day = "" if there.date() == now.astimezone().date() else "%Y-%m-%d "
    return f"{there:{day}%H:%M}"


def size(count: float) -> str:
    """Return a number of bytes: `812 B`, `6.1 MB`, `24 GB` (powers of 1000, as disks are sold)."""
    power = 0
    while count >= 1000 and power < len(_UNITS) - 1:  # noqa: PLR2004
        count, power = count / 1000, power + 1
    digits = 0 if power == 0 or count >= 100 else 1  # noqa: PLR2004
    return f"{count:.{digits}f} {_UNITS[power]}"


def count(number: float, noun: str) -> str:
    """Return `1 row`, `4,812 rows`."""
    return f"{number:,.0f} {noun}" + ("" if number == 1 else "s")


def listed(names: Iterable[str]) -> str:
    """Return names as people say them: `ann`, `ann and lab`, `ann, lab and acme`."""
    *rest, last = names
    return f"{', '.join(rest)} and {last}" if rest else last


def already(where: str, names: Sequence[str]) -> str:
    """Return what is already where something is to go."""
    among = f", {names[0]} among them" if len(names) > 1 else f": {names[0]}"
    return f"{where} already holds {count(len(names), 'file')}{among}."
