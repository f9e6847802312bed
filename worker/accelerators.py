"""How many accelerators a job may count on: those it pays for, unless its Hub lends fewer.

The real Hub says only what its machine is called (`ACCELERATOR`), so there what is paid for counts.
A Hub that has none to lend, as the local one, says so beside that name.
"""

from __future__ import annotations

from collections.abc import Mapping

from worker.contract import Machine

LENT = "ACCELERATORS"
"""Environment in which a Hub says how many accelerators it really hands out."""


def due(machine: Machine, environ: Mapping[str, str]) -> int:
    """Return how many accelerators have to be there before anything is trained."""
    lent = environ.get(LENT, "").strip()
    return min(int(lent), machine.accelerators) if lent.isdecimal() else machine.accelerators
