"""Runs every benchmark, or those named; each is a module here whose `main` prints its lines."""

from __future__ import annotations

import sys
from importlib import import_module
from pkgutil import iter_modules

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
    for name in wanted or names():
        import_module(f"benchmarks.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
