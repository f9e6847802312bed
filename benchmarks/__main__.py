"""Runs every benchmark, or those named; each is a module here whose `main` prints its lines.

The cheap ones come first, by the `SECONDS` each module says it takes on two cores. A benchmark says
what it measures before it begins, and prints each figure as it has it.
"""

from __future__ import annotations

import sys
import time
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import benchmarks


def names() -> list[str]:
    """Return the benchmarks there are."""
    return sorted(m.name for m in iter_modules(benchmarks.__path__) if not m.name.startswith("_"))


def main(wanted: list[str]) -> int:
    """Run them; returns 2 for a name that is none."""
    unknown = set(wanted) - set(names())
    if unknown:
        sys.stderr.write(f"no benchmark {', '.join(unknown)}; there are: {', '.join(names())}\n")
        return 2
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    modules = [import_module(f"benchmarks.{name}") for name in wanted or names()]
    if not wanted:
        modules.sort(key=lambda module: module.SECONDS)
    expected = sum(module.SECONDS for module in modules)
    print(f"{len(modules)} benchmarks, some {expected / 60:.0f} minutes on two idle cores.")
    for module in modules:
        _run(module)
    return 0


def _run(module: Any) -> None:
    name, began = module.__name__.partition(".")[2], time.monotonic()
    print(f"\n{name}: {module.__doc__.splitlines()[0]} Some {module.SECONDS} s.")
    module.main()
    print(f"  ({time.monotonic() - began:.0f} s)")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
