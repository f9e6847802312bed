"""Numbers where a text is expected: a column of CSV, JSON or Excel that holds nothing else."""

from __future__ import annotations

from math import isfinite
from typing import Any


def spelled(cell: Any) -> Any:
    """Return a number as people write it, 7 and not 7.0, and anything else as it is."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float) and isfinite(cell):
        return f"{cell:.0f}" if cell.is_integer() else str(cell)
    return str(cell) if isinstance(cell, int) else cell
