"""Places a job can run. Each module here named after one ends with `BACKEND = ItsClass`."""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from backends.base import Backend

_NOT_BACKENDS = {"base", "errors", "handle"}


def names() -> list[str]:
    """Return the backends there are, importing none of them."""
    return sorted(m.name for m in iter_modules(__path__) if m.name not in _NOT_BACKENDS)


def load(name: str) -> type[Backend[Any]]:
    """Import one backend; only now is its client library needed. Raises `ValueError`."""
    if name not in names():
        raise ValueError(f"no backend called {name!r}; there are: {', '.join(names())}")
    backend: type[Backend[Any]] = import_module(f"backends.{name}").BACKEND
    return backend
