"""Every kind of hardware the Hub rents out, once: its size, its price, and the list the API shows.

Sizes and prices follow the Hub's documentation of August 2026. Nothing here knows who rents what;
that is `localhub.runtime.meter`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

GIB = 1024**3
FREE_FLAVOR = "cpu-basic"
MEMORY_UNITS = {"Gi": GIB, "Mi": 1024**2, "G": 10**9, "M": 10**6}


@dataclass(frozen=True, slots=True)
class Accelerator:
    """A machine's GPUs together."""

    model: str
    quantity: int
    vram_gb: int
    """Memory of all of them, in GB."""

    def listed(self) -> dict[str, str]:
        """Return what the price list says about them: strings with units."""
        return {
            "type": "gpu",
            "model": self.model,
            "quantity": str(self.quantity),
            "vram": f"{self.vram_gb} GB",
            "manufacturer": "Nvidia",
        }


@dataclass(frozen=True, slots=True)
class Flavor:
    """One kind of machine, as Spaces and Jobs rent it."""

    name: str
    pretty_name: str
    vcpu: int
    ram_gb: int
    usd_per_hour: float
    accelerator: Accelerator | None = None
    spaces: bool = True
    """Whether a Space may have it; a Job may have any."""

    space_usd_per_hour: float | None = None
    """What a Space pays, where that differs."""

    memory_bytes: int | None = None
    """Memory that is really allowed on this machine, where that differs from `ram_gb`."""

    @property
    def memory_limit(self) -> int:
        """Bytes a run may hold before the largest of its processes is killed."""
        return self.memory_bytes or self.ram_gb * GIB

    def hourly(self, *, space: bool) -> float:
        """Return the price in US dollars an hour."""
        if space and self.space_usd_per_hour is not None:
            return self.space_usd_per_hour
        return self.usd_per_hour

    def listed(self, *, space: bool) -> dict[str, Any]:
        """Return this machine's entry in the API's price list."""
        per_minute = self.hourly(space=space) / 60
        return {
            "name": self.name,
            "prettyName": self.pretty_name,
            "cpu": f"{self.vcpu} vCPU",
            "ram": f"{self.ram_gb} GB",
            "ephemeralStorage": "50 GB",
            "accelerator": self.accelerator.listed() if self.accelerator else None,
            "unitCostMicroUSD": round(per_minute * 1e6),
            "unitCostUSD": round(per_minute, 6),
            "unitLabel": "minute",
        }


def _gpu(
    name: str,
    title: str,
    size: tuple[int, int],
    usd: float,
    gpus: tuple[str, int, int],
    **more: Any,
) -> Flavor:
    return Flavor(name, title, *size, usd, Accelerator(*gpus), **more)


FLAVORS: tuple[Flavor, ...] = (
    Flavor(FREE_FLAVOR, "CPU Basic", 2, 16, 0.01, space_usd_per_hour=0.0),
    Flavor("cpu-upgrade", "CPU Upgrade", 8, 32, 0.03),
    Flavor("cpu-xl", "CPU XL", 16, 124, 1.00, spaces=False),
    Flavor("cpu-performance", "CPU Performance", 32, 256, 1.90, spaces=False),
    _gpu("t4-small", "Nvidia T4 - small", (4, 15), 0.40, ("T4", 1, 16)),
    _gpu("t4-medium", "Nvidia T4 - medium", (8, 30), 0.60, ("T4", 1, 16)),
    _gpu("l4x1", "1x Nvidia L4", (8, 30), 0.80, ("L4", 1, 24)),
    _gpu("l4x4", "4x Nvidia L4", (48, 186), 3.80, ("L4", 4, 96)),
    _gpu("l40sx1", "1x Nvidia L40S", (8, 62), 1.80, ("L40S", 1, 48)),
    _gpu("l40sx4", "4x Nvidia L40S", (48, 382), 8.30, ("L40S", 4, 192)),
    _gpu("l40sx8", "8x Nvidia L40S", (192, 1534), 23.50, ("L40S", 8, 384)),
    _gpu("a10g-small", "Nvidia A10G - small", (4, 15), 1.00, ("A10G", 1, 24)),
    _gpu("a10g-large", "Nvidia A10G - large", (12, 46), 1.50, ("A10G", 1, 24)),
    _gpu("a10g-largex2", "2x Nvidia A10G - large", (24, 92), 3.00, ("A10G", 2, 48)),
    _gpu("a10g-largex4", "4x Nvidia A10G - large", (48, 184), 5.00, ("A10G", 4, 96)),
    _gpu("a100-large", "Nvidia A100 - large", (12, 142), 2.50, ("A100", 1, 80)),
    _gpu("a100x4", "4x Nvidia A100", (48, 568), 10.00, ("A100", 4, 320)),
    _gpu("a100x8", "8x Nvidia A100", (96, 1136), 20.00, ("A100", 8, 640)),
    _gpu("h200", "Nvidia H200", (23, 256), 5.00, ("H200", 1, 141), spaces=False),
    _gpu("h200x2", "2x Nvidia H200", (46, 512), 10.00, ("H200", 2, 282), spaces=False),
    _gpu("h200x4", "4x Nvidia H200", (92, 1024), 20.00, ("H200", 4, 564), spaces=False),
    _gpu("h200x8", "8x Nvidia H200", (184, 2048), 40.00, ("H200", 8, 1128), spaces=False),
    _gpu("rtx-pro-6000", "Nvidia RTX PRO 6000", (23, 256), 2.75, ("RTX PRO 6000", 1, 96)),
    _gpu("rtx-pro-6000x2", "2x Nvidia RTX PRO 6000", (46, 512), 5.50, ("RTX PRO 6000", 2, 192)),
    _gpu("rtx-pro-6000x4", "4x Nvidia RTX PRO 6000", (92, 1024), 11.0, ("RTX PRO 6000", 4, 384)),
    _gpu("rtx-pro-6000x8", "8x Nvidia RTX PRO 6000", (184, 2048), 22.0, ("RTX PRO 6000", 8, 768)),
)


class PriceList:
    """The flavors of one Hub, which may give a machine less memory than its name promises."""

    def __init__(self, memory: Mapping[str, int] | None = None) -> None:
        """Take the bytes really allowed for some flavors; ValueError for an unknown name."""
        self._flavors = {flavor.name: flavor for flavor in FLAVORS}
        for name, limit in (memory or {}).items():
            if name not in self._flavors:
                raise ValueError(
                    f"no flavor called {name!r}; there are: {', '.join(self._flavors)}"
                )
            self._flavors[name] = replace(self._flavors[name], memory_bytes=limit)

    def find(self, name: object, *, space: bool) -> Flavor | None:
        """Return the flavor of that name, or None if there is none that this renter may have."""
        flavor = self._flavors.get(str(name))
        return None if flavor is None or (space and not flavor.spaces) else flavor

    def listed(self, *, space: bool) -> list[dict[str, Any]]:
        """Return the price list, as GET /api/spaces/hardware and /api/jobs/hardware answer it."""
        mine: Iterable[Flavor] = self._flavors.values()
        return [flavor.listed(space=space) for flavor in mine if flavor.spaces or not space]


def memory_option(text: str) -> tuple[str, int]:
    """Read `cpu-basic:memory=1.5Gi` into a flavor's name and bytes, or raise ValueError."""
    name, _, setting = text.partition(":")
    key, _, amount = setting.partition("=")
    unit = next((unit for unit in MEMORY_UNITS if amount.endswith(unit)), None)
    if key != "memory" or unit is None:
        raise ValueError(f"{text!r} is not FLAVOR:memory=SIZE, as in cpu-basic:memory=1.5Gi")
    return name, int(float(amount.removesuffix(unit)) * MEMORY_UNITS[unit])
