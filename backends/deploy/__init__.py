"""Places where a trained model answers. Each module here named after one ends with `PLACE`.

What users write after `--deploy-backend` is read here: `spaces`, `spaces-t4`.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from backends.errors import UnknownBackend
from worker.nearest import hint, nearest

if TYPE_CHECKING:
    from backends.deploy.base import Place


def names() -> list[str]:
    """Return the places there are, importing none of them."""
    return sorted(m.name for m in iter_modules(__path__) if m.name != "base")


def load(name: str) -> type[Place[Any]]:
    """Import one place; its client library waits for the first call."""
    place: type[Place[Any]] = import_module(f"{__name__}.{name}").PLACE
    return place


def resolve(text: str) -> tuple[type[Place[Any]], str | None]:
    """Return the place and machine that are meant by `spaces`, `spaces-t4`; none: no machine named.

    Raises `UnknownBackend`.
    """
    wanted = text.strip().lower().replace("_", "-")
    for place in map(load, names()):
        if wanted == place.name:
            return place, None
        if wanted.startswith(f"{place.name}-"):
            flavor = wanted.removeprefix(f"{place.name}-")
            return place, place.short_names.get(flavor, flavor)
    raise UnknownBackend(
        f"A model cannot be deployed to {text!r}; it can to {', '.join(names())}."
        f"{hint(nearest(wanted, names()))}"
    )


def of_handle(text: str) -> type[Place[Any]] | None:
    """Return the place whose handle this is: `space://ann/my-model-chat`; none if it is no such."""
    scheme = text.partition("://")[0]
    return next((place for place in map(load, names()) if place.scheme == scheme), None)
