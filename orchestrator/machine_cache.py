"""The machines that providers rented out when they were last asked, kept for who may not ask.

`hubtrain backends` keeps them, completion in a shell offers them. They may be lost at any time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from worker.home import home, make_private

if TYPE_CHECKING:
    from backends.base import Flavor

FILE = "machines.json"


def keep(offered: Mapping[str, Iterable[Flavor]]) -> None:
    """Keep what these backends offer, beside what is known of others; what fails is left."""
    new = {backend: dict(_written(backend, flavors)) for backend, flavors in offered.items()}
    with suppress(OSError):
        make_private(home())
        path = home() / FILE
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps({**_kept(), **new}), encoding="utf-8")
        beside.replace(path)


def known() -> dict[str, str]:
    """Return what may be written after `--backend`, each with what it is; empty if nothing is."""
    return {name: about for names in _kept().values() for name, about in names.items()}


def _kept() -> dict[str, dict[str, str]]:
    try:
        found = json.loads((home() / FILE).read_text(encoding="utf-8"))
        return {
            str(k): {str(name): str(about) for name, about in v.items()} for k, v in found.items()
        }
    except (OSError, ValueError, AttributeError):
        return {}


def _written(backend: str, flavors: Iterable[Flavor]) -> Iterator[tuple[str, str]]:
    """Yield the names of machines, long and short, each with its price and GPU."""
    for flavor in flavors:
        price = f"${flavor.usd_per_hour:.2f}/h" if flavor.usd_per_hour else "free"
        gpus = f"{flavor.accelerators} x {flavor.accelerator}" if flavor.accelerator else "no GPU"
        for name in (flavor.name, *flavor.short_names):
            yield name if name == backend else f"{backend}-{name}", f"{price}, {gpus}"
