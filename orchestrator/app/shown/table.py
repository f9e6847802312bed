"""The table that several pages show: a row for each of many, under heads in words."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


def table_of(heads: Iterable[str], rows: Iterable[str]) -> str:
    """Return rows, which are HTML, under heads, which are text."""
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    return (
        '<div class="wide" tabindex="0"><table class="jobs plain" role="table">'
        f"<thead><tr>{names}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )
