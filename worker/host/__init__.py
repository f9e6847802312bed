"""What the worker runs on. Each module here for one kind of host ends with `HOST = ItsClass`.

The environment tells which one it is. To add one, write a file with a subclass of `Host`: it
answers how to stop paying, which hardware this is, who stopped it, where the model lies, and who
may see the page. Nobody else asks where the worker runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules

from worker.host.base import Host
from worker.host.plain import PlainMachine

__all__ = ["Host", "PlainMachine", "host_of"]


def host_of(environ: Mapping[str, str]) -> Host:
    """Return the host whose environment this is; a plain machine where none knows it as its own."""
    for kind in _kinds():
        if kind.is_here(environ):
            return kind(environ)
    return PlainMachine(environ)


def _kinds() -> Iterator[type[Host]]:
    for module in sorted(m.name for m in iter_modules(__path__)):
        found = getattr(import_module(f"{__name__}.{module}"), "HOST", None)
        if found is not None:
            yield found
