"""Rows that cannot be read: named all at once, those with the same fault together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from worker.errors import BadData
from worker.finding import Finding
from worker.shorten import shortened, some

SHOWN_FAULTS = 8
"""Faults that are told one by one."""

LONGEST_FAULT = 1_000
"""Characters of a fault that are told: some are a stranger's words."""

SHOWN_LINES = 20
"""Numbers of rows that are told before it is said how many more there are."""


@dataclass(slots=True)
class Broken:
    """The rows of a split that cannot be read."""

    faults: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    """What is wrong, with what to type, to the numbers of the rows."""

    def __bool__(self) -> bool:
        return bool(self.faults)

    def add(self, line: int, error: BadData) -> None:
        """Take note of a row that was refused; what takes too much memory is raised again."""
        if isinstance(error.__cause__, MemoryError):
            raise error
        said = error.message.replace(f"line {line} of ", "")  # the same wherever it is
        self.faults.setdefault((shortened(said, LONGEST_FAULT), error.fix), []).append(line)

    def findings(self, source: str) -> Iterator[Finding]:
        """Say what is wrong, and with which rows of `source`."""
        faults = list(self.faults.items())
        for (said, fix), lines in faults[:SHOWN_FAULTS]:
            yield Finding("error", "data", f"{said} ({source}, {at(lines)})", fix)
        if rest := [line for _, lines in faults[SHOWN_FAULTS:] for line in lines]:
            yield Finding("error", "data", f"other rows are broken too ({source}, {at(rest)})")

    def refuse(self, source: str) -> None:
        """Raise `BadData` that names all of them, if there are any."""
        if found := list(self.findings(source)):
            raise BadData(" ".join(one.text for one in found), fix=found[0].fix)


def at(lines: Sequence[int]) -> str:
    """Return `line 3`, or `lines 3, 7 and 40 more`."""
    return f"line{'s' * (len(lines) != 1)} {some(lines, SHOWN_LINES)}"
