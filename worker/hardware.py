"""What a machine says of itself: sizes of memory, its GPUs as `nvidia-smi` prints them, its place.

Standard library only: the laptop, the supervisor and the trainer read both in the same way.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

_UNITS = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_SECONDS = 10


def parse_bytes(text: str) -> int | None:
    """Return the bytes in `16Gi`; none where it is no such size."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]i)?B?", text.strip())
    return int(float(found[1]) * _UNITS[found[2] or ""]) if found else None


def stated_memory(environ: Mapping[str, str]) -> int | None:
    """Return the main memory in bytes that the Hub gives a machine; none where it does not."""
    return parse_bytes(environ.get("MEMORY", ""))


def nvidia_smi(*fields: str) -> list[list[str]]:
    """Return these fields of each NVIDIA GPU, memory in MiB; empty where there is none to ask."""
    if not shutil.which("nvidia-smi"):
        return []
    command = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
    rows = ([field.strip() for field in line.split(",")] for line in said.splitlines())
    return [row for row in rows if len(row) == len(fields)]


@dataclass(frozen=True, slots=True)
class Node:
    """A machine among those that train together."""

    number: int = 0
    """Its place among them, from 0."""

    first: str = ""
    """Address of the one of place 0, where all processes meet."""

    port: int = 0
    """Port there; 0 for a free one, if there is no other node."""


ONLY = Node()
