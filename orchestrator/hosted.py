"""What no user may do of an app that several share: reach into the machine it runs on.

Each of them is a `Guest` there. The form names the field that is wrong; every other way to a job
passes `flow.ask`, which refuses the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePath
from typing import Any

import backends
from worker.account import bad_token
from worker.duration import roughly
from worker.errors import BadConfig, HubtrainError
from worker.finding import Finding
from worker.home import home
from worker.params import Setting
from worker.paths import is_path

UPLOADS = "uploads"
"""Folder below `home()` that has what browsers sent."""

UPLOAD_BYTES = 2_000_000_000
"""What one user's uploads may take there."""

RENTED = "spaces"
"""The backend that a job begins with where it may not run on this machine."""

SPARE_SECONDS = 1800.0
"""How much longer than its job a login has to hold: machines are waited for, models pushed."""


SIGN_IN = "Log out and sign in again."


@dataclass(frozen=True, slots=True)
class Guest:
    """Somebody who uses an app that several share, signed in at the Hub."""

    name: str
    until: datetime
    """When their login ends: nothing takes its token after that, that of their jobs neither."""

    kept: bool = True
    """Whether what the app knows of their jobs outlives the app."""


def upload_of(path: str) -> Path | None:
    """Return the folder of the upload that a path means; none for any other path."""
    root, found = (home() / UPLOADS).resolve(), Path(path).resolve()
    if not found.is_relative_to(root) or found == root:
        return None
    return root / found.relative_to(root).parts[0]


def reaching(known: Mapping[str, Setting], said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield settings that would reach into this machine, each with what is wrong with it.

    `known` has the settings that there are, `said` the values that somebody gave.
    """
    for name, value in said.items():
        several = value if isinstance(value, list | tuple) else [value]
        if paths := [one for one in several if _is_here(one)]:
            yield name, f"{paths[0]} would be a place on the machine of this app."
        elif name in known and known[name].consent and value:
            yield name, "this runs code on the machine of the app, or reads its files."


def away(backend: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a backend that is not a rented machine of the Hub's."""
    try:
        place = backends.resolve(backend).backend
    except HubtrainError:  # told where settings are read
        return
    if not place.on_hub:
        there = [name for name in backends.names() if backends.load(name).on_hub]
        yield "backend", f"on this app jobs run on rented machines: {' or '.join(there)}."


def refuse(known: Mapping[str, Setting], said: Mapping[str, Any], backend: str) -> None:
    """Raise `BadConfig` that names all settings of a guest's job that reach into this machine."""
    wrong = [*reaching(known, said), *away(backend)]
    if wrong:
        raise BadConfig("\n".join(f"{name}: {why}" for name, why in wrong))


def no_programs(what: str) -> BadConfig:
    """Return why `what`, which would run on this machine, is not done for a guest."""
    return BadConfig(
        f"{what} would run on the machine of this app, which others use too.",
        fix="Do it with hubtrain on a machine of yours.",
    )


def too_long(guest: Guest, seconds: float, now: datetime) -> Finding | None:
    """Return what is wrong with a job that may take `seconds` where its guest's login ends before.

    Its machine has the token of the login, and could then neither push nor stop itself.
    """
    left = (guest.until - now).total_seconds()
    if seconds + SPARE_SECONDS <= left:
        return None
    text = f"your login ends in {roughly(max(left, 0.0))}, and the job may take {roughly(seconds)}"
    return Finding("error", "account", text, f"{SIGN_IN} That holds for 30 days.")


def in_their_words(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return findings with what a guest can do where the Hub takes their token no more."""
    gone = bad_token()
    return tuple(replace(f, fix=SIGN_IN) if f.text == gone.message else f for f in findings)


def _is_here(value: object) -> bool:
    """Whether a value names something on this machine that is no upload."""
    if not isinstance(value, str) or not (is_path(value) or ".." in PurePath(value).parts):
        return False
    try:
        return upload_of(value) is None
    except (OSError, ValueError):  # with a zero in it, say
        return True
