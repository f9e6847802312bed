"""What the kernel's control groups say of this machine's memory: the limit, and whom it has killed.

A container and a batch job of Slurm have a group of their own. Both versions are read: one tree for
all resources, or one for each (`cgroup-v2.rst` and `cgroup-v1/memory.rst` in the kernel's
`Documentation/admin-guide`). Inside of a container the group's own folder is the tree's root, by
whatever path the process is told to be in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

MOUNTED = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
"""The groups of this process: lines of `number:resources:path`, without resources in version 2."""

_LIMITS = ("memory.max", "memory.limit_in_bytes")
_KILLS = ("memory.events", "memory.oom_control")


def memory_limit(mounted: Path = MOUNTED, own: Path = OWN) -> int | None:
    """Return the bytes this process's groups may hold: the least of all limits; none without."""
    told = [text for folder in _folders(mounted, own) for text in _read(folder, _LIMITS)]
    return min((int(text) for text in told if text.strip().isdecimal()), default=None)


def oom_kills(mounted: Path = MOUNTED, own: Path = OWN) -> int:
    """Return how many processes of this one's group the kernel has killed for their memory."""
    for folder in _folders(mounted, own):
        for text in _read(folder, _KILLS):
            if found := re.search(r"^oom_kill (\d+)$", text, re.MULTILINE):
                return int(found[1])
    return 0


def _folders(mounted: Path, own: Path) -> Iterator[Path]:
    """Yield the folders that are there of this process's groups, the innermost first."""
    for line in next(_read(own.parent, (own.name,)), "").splitlines():
        _, resources, path = line.split(":", 2)
        if resources and "memory" not in resources.split(","):
            continue
        tree = mounted / "memory" if resources else mounted
        inner = PurePosixPath(path).relative_to("/")
        yield from (tree / one for one in (inner, *inner.parents) if (tree / one).is_dir())


def _read(folder: Path, names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        with suppress(OSError, UnicodeDecodeError):
            yield (folder / name).read_text(encoding="ascii")
