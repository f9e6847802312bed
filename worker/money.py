"""An amount of money as people read it, on the laptop and on the page of a job alike."""

from __future__ import annotations


def money(usd: float) -> str:
    """Return an amount in US dollars: `$0.00`, `$0.32`, `$1,204.50`; less than a cent says so."""
    return "<$0.01" if 0 < usd < 0.005 else f"${usd:,.2f}"  # noqa: PLR2004
