"""Which column holds what: the one that is named, or one usually called so. Light."""

from __future__ import annotations

from collections.abc import Sequence

from worker.columns import no_column
from worker.splits import Split

TARGETS = ("target", "label", "labels", "class")
"""Usual names of the column of what is learned."""

TEXTS = ("text", "sentence", "content", "message", "review", "comment", "sms")
"""Usual names of a column of texts."""


def chosen(
    split: Split, asked: str, usual: Sequence[str], flag: str, taken: Sequence[str] = ()
) -> str:
    """Return a column's name: the one `asked` for, or one usually called so where none was named.

    The first of the `usual` names is what is asked for where nobody names one. `taken` are columns
    that it cannot be. Raises `BadData` with what to type.
    """
    if asked in split.columns:
        return asked
    if asked == usual[0]:
        for name in usual:
            if name in split.columns and name not in taken:
                return name
    others = [name for name in split.columns if name not in taken]
    only = ("It may be", others[0]) if len(others) == 1 else ("", "")
    raise no_column(asked, split.columns, split.source, flag, among=others, else_=only)
