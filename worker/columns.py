"""The complaint about a column that is not there: the same of every task. Standard library only."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from worker.errors import BadData
from worker.nearest import nearest
from worker.shorten import some

SHOWN = 20
"""Columns that are named before it is said how many more there are."""


def no_column(
    name: str,
    columns: Sequence[str],
    source: str,
    flag: str = "",
    *,
    among: Sequence[str] | None = None,
    else_: tuple[str, str] = ("", ""),
) -> BadData:
    """Return that `source`, which has `columns`, has none called `name`.

    `flag` is what would name another; the nearest is suggested, of those `among` which it may be.
    Where none is near it is `else_`: a sentence, such as `The longest text is in`, and the column.
    """
    said = f'no column "{name}" in {source}; it has: {some(columns, SHOWN)}.'
    near = nearest(name, columns if among is None else among)
    why, likely = ("The nearest is", near) if near else else_
    if flag and likely:
        return BadData(f'{said} {why} "{likely}":', fix=f"{flag} {shlex.quote(likely)}")
    return BadData(said, fix=f"{flag} with the name of one of them" if flag else "")
