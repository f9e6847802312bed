"""What is too long for a message: names beyond the first few. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable

FEW = 5
"""Names a message gives before it says how many more there are."""

LONGEST = 100
"""Characters of a value that a message repeats."""


def some(
    names: Iterable[object], most: int = FEW, *, between: str = ", ", longest: int = LONGEST
) -> str:
    """Return the first names, each shortened, and how many more there are: `a, b and 3 more`."""
    found = [shortened(name, longest) for name in names]
    more = f" and {len(found) - most:,} more" if len(found) > most else ""
    return between.join(found[:most]) + more


def shortened(value: object, most: int = LONGEST) -> str:
    """Return a value as text whose middle is left out where it is longer than `most` characters."""
    said = str(value)
    if len(said) <= most:
        return said
    return f"{said[: most * 2 // 3]}…{said[-most // 3 :]}"
