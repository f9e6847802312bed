"""What a task needs installed, read off this package's own metadata.

`pyproject.toml` is the one home of that fact: worker images install what is listed here, and the
machine at hand is asked whether it has it. Nothing here knows any task, only extras.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from backends.errors import PlanRefused
from worker.installing import PACKAGE, install

WORKER = {
    "os_name": "posix",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "platform_machine": "x86_64",
    "python_version": "3.11",
    "python_full_version": "3.11.0",
    "implementation_name": "cpython",
}
"""The image of `space_template/`: markers are decided for it and not for the laptop."""


def requirements(extras: Iterable[str], machine: dict[str, str] | None = None) -> list[str]:
    """Return what `pip install` needs for these extras, sorted, one requirement each.

    The base dependencies are among them, since the worker's code may use those. `machine` gives
    the values of environment markers; none means this machine. Raises `PlanRefused` for an
    extra that there is not.
    """
    return sorted({_plain(r) for r in _needed(tuple(extras), machine or {})}, key=str.lower)


def missing(extras: Iterable[str]) -> list[str]:
    """Return the packages of these extras that this machine has not got, by name."""
    return sorted({r.name for r in _needed(tuple(extras), {}) if not _installed(r.name)})


def refuse_lacking(extras: Iterable[str], otherwise: str) -> None:
    """Raise `PlanRefused` where this machine lacks a package; `otherwise` is another way out."""
    extras = tuple(extras)
    if lacking := missing(extras):
        raise PlanRefused(
            f"Training here needs {', '.join(lacking)}.", fix=f"{install(extras)}, {otherwise}"
        )


def described() -> str:
    """Return what this package says of itself, its extras among it, as the text of `METADATA`."""
    return f"{str(metadata.metadata(PACKAGE)).strip().partition(chr(10) * 2)[0]}\n"


def installed(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python and of these packages on this machine, those that are here."""
    found = {"python": platform.python_version()}
    for name in names:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _needed(extras: tuple[str, ...], machine: dict[str, str]) -> Iterator[Requirement]:
    known = metadata.metadata(PACKAGE).get_all("Provides-Extra") or []
    if unknown := set(extras) - set(known):
        raise PlanRefused(
            f"{PACKAGE} has no extra {', '.join(sorted(unknown))} to install;"
            f" it has {', '.join(known)}."
        )
    for text in metadata.requires(PACKAGE) or []:
        one = Requirement(text)
        if not _applies(one, extras, machine):
            continue
        if canonicalize_name(one.name) == PACKAGE:
            yield from _needed(tuple(one.extras), machine)
        else:
            yield one


def _applies(one: Requirement, extras: tuple[str, ...], machine: dict[str, str]) -> bool:
    if one.marker is None:
        return True
    return any(one.marker.evaluate({**machine, "extra": extra}) for extra in (*extras, ""))


def _plain(one: Requirement) -> str:
    extras = f"[{','.join(sorted(one.extras))}]" if one.extras else ""
    return f"{one.name}{extras}{one.specifier}"


def _installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
