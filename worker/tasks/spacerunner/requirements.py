"""What a script needs installed, as its `requirements.txt` says it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from worker.errors import BadConfig

FILE = "requirements.txt"

_UNWANTED = re.compile(r"-([A-Za-z0-9][\w.-]*)")
"""A line of AutoTrain's: a package to uninstall first. pip's options are `-x VALUE` or `--name`."""

_PLACE = re.compile(r"[/\\]|\.whl$|\.zip$|\.gz$")


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of requirements."""

    wanted: tuple[str, ...]
    """Packages, archives and folders."""

    unwanted: tuple[str, ...]
    """Packages that AutoTrain was to uninstall first."""

    text: str
    """The file as pip takes it."""

    def fixes(self, package: str) -> bool:
        """Whether it says which version of a package it wants, or from where."""
        return any(
            one.name.lower() == package and bool(one.specifier or one.url)
            for one in map(_requirement, self.wanted)
            if one
        )


def read(path: Path) -> Listed | None:
    """Return what a file lists; none where there is none. Raises `BadConfig`."""
    if not path.is_file():
        return None
    wanted, unwanted, kept = [], [], []
    for number, line in enumerate(path.read_text("utf-8-sig", "replace").splitlines(), 1):
        bare = re.sub(r"(^|\s)#.*", "", line).strip()
        if found := _UNWANTED.fullmatch(bare):
            unwanted.append(found[1])
            continue
        kept.append(line)
        if not bare or bare.startswith("-"):
            continue
        if not _PLACE.search(bare) and _requirement(bare) is None:
            raise BadConfig(f"{path.name} line {number} is no requirement: {bare!r}.")
        wanted.append(bare)
    return Listed(tuple(wanted), tuple(unwanted), "\n".join(kept) + "\n")


def _requirement(line: str) -> Requirement | None:
    bare = re.split(r"\s--\w|\s*\\$", line)[0].strip()  # --hash=…, and a line that goes on
    try:
        return Requirement(bare)
    except InvalidRequirement:
        return None
