"""The machines the Hub rents out, as its price lists tell them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from backends.base import Flavor

FREE = "cpu-basic"
"""The smallest machine. It costs a Space nothing, and a Job a cent an hour."""

SHORT_NAMES = {
    "cpu": FREE,
    "cpuf": FREE,
    "t4": "t4-small",
    "t4s": "t4-small",
    "t4m": "t4-medium",
    "a10g": "a10g-small",
    "a10gs": "a10g-small",
    "a10gl": "a10g-large",
    "a100": "a100-large",
}
"""What users may write for a flavor."""

_UNITS = {"KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def flavors(offers: Iterable[Any]) -> list[Flavor]:
    """Return the machines of a price list (`JobHardwareInfo`), cheapest first."""
    return sorted(map(flavor, offers), key=lambda f: (f.usd_per_hour, f.name))


def flavor(offer: Any) -> Flavor:
    """Return one machine of a price list."""
    minutes = {"minute": 60, "hour": 1, "second": 3600}[offer.unit_label]
    gpu = offer.accelerator
    return Flavor(
        name=offer.name,
        description=offer.pretty_name,
        usd_per_hour=round(offer.unit_cost_micro_usd * minutes / 1e6, 4),
        memory_bytes=_amount(offer.ram),
        accelerator=gpu.model if gpu else None,
        # One, where the list does not count: no GPU machine may pass for one without.
        accelerators=max(1, int(_amount(gpu.quantity))) if gpu else 0,
        vram_bytes=_amount(gpu.vram) if gpu else 0.0,
        cpus=_amount(offer.cpu),
        short_names=tuple(s for s, name in SHORT_NAMES.items() if name == offer.name),
    )


def _amount(text: str) -> float:
    """Return `"15 GB"` as 15e9, `"2 vCPU"` as 2; what is no number is 0."""
    match = re.match(r"\s*([\d.]+)\s*(\w*)", str(text))
    return float(match[1]) * _UNITS.get(match[2].upper(), 1.0) if match else 0.0
