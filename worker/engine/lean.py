"""Keeps the start short: packages that a training does not use stay out of its process.

transformers and peft import every optional library they find: bitsandbytes alone costs two
CPU-seconds and pulls in torch's compiler, for a training that quantizes nothing. Python's own way
to say that a module is not there is a None in `sys.modules`; their checks respect it.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection, Iterable

from worker.params import Params

OPTIONAL = ("bitsandbytes", "datasets", "peft")
"""Packages that are kept out where nothing uses them."""

BITSANDBYTES = ("8bit", "bnb", "paged", "lion", "ademamix")
"""What the names of its optimizers have in them."""


def leave_out(packages: Iterable[str]) -> None:
    """Make `packages` look not installed to this process, except those already imported."""
    for name in packages:
        if name not in sys.modules:
            sys.modules[name] = None  # type: ignore[assignment]


def nothing_from_the_hub() -> None:
    """Keep bitsandbytes from running compiled code that it fetches from the Hub at its import.

    It does so on CPUs with AVX512-BF16 if the package `kernels` is there, and otherwise tells
    people to install it. Its own code does the same, as on every other CPU.
    """
    leave_out(["kernels"])
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)


def unused(params: Params, uses: Collection[str] = ()) -> list[str]:
    """Return the optional packages that training with `params` has no use for.

    `uses` are those that the task itself imports.
    """
    optimizer = str(getattr(params, "optimizer", ""))
    needed = {
        "bitsandbytes": getattr(params, "quantization", None)
        or any(word in optimizer for word in BITSANDBYTES),
        "peft": getattr(params, "peft", False),
        "datasets": False,  # rows come through pyarrow
    }
    return [name for name in OPTIONAL if not needed[name] and name not in uses]
