"""Places a job can run. Each module here named after one ends with `BACKEND = ItsClass`.

What users write after `--backend` is read here, from what the classes declare of themselves:
`local`, `local-cli`, `spaces-a100`. Which machines a provider has, and at what price, only the
provider knows: see `Backend.flavor`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from backends.errors import UnknownBackend, listed
from worker.errors import HubtrainError
from worker.nearest import nearest
from worker.params import unused

if TYPE_CHECKING:
    from backends.base import Backend

_BESIDE = {
    "base",
    "batch_launch",
    "deploy",
    "errors",
    "handle",
    "hub",
    "image",
    "image_keeping",
    "packages",
}
"""Modules here that are no backends."""


@dataclass(frozen=True, slots=True)
class ComputeTarget:
    """What `--backend` means: which backend, and which of its machines."""

    backend: type[Backend[Any]]
    flavor: str | None = None
    """The provider's own name of the hardware; none where the user named none."""


def any_bills(names: Iterable[str]) -> bool:
    """Whether time on the machines of one of these backends costs money."""
    return any(load(name).bills for name in names)


def names() -> list[str]:
    """Return the backends there are, importing none of them."""
    return sorted(m.name for m in iter_modules(__path__) if m.name not in _BESIDE)


def load(name: str) -> type[Backend[Any]]:
    """Import one backend; its client library waits for the first call. Raises `UnknownBackend`."""
    if name not in names():
        raise UnknownBackend(
            f"There is no backend {name!r} here; there are {', '.join(names())}.",
            fix="Use the version of hubtrain that launched the job, or a newer one.",
        )
    backend: type[Backend[Any]] = import_module(f"backends.{name}").BACKEND
    return backend


def unused_beside(backend: type[Backend[Any]]) -> dict[str, str]:
    """Return the options that other backends have and this one has not, each with whose it is."""
    groups = {name: load(name).options for name in names()}
    return unused("backend", backend.options.model_fields, groups)


def resolve(text: str, not_yet: Mapping[str, str] | None = None) -> ComputeTarget:
    """Return what users mean by `local`, `local-cli`, `spaces`, `spaces-a10gl`, `spaces-l40sx4`.

    A flavor that is no short name is passed on as it stands, since only the provider can tell
    whether it has it. Raises `UnknownBackend`, which says of the places in `not_yet` (by how their
    names begin) that they are not there yet, and of others which names are nearest.
    """
    wanted = text.strip().lower().replace("_", "-")
    spelled = {name: b for b in map(load, names()) for name in (b.name, *b.aliases)}
    for name in sorted(spelled, key=len, reverse=True):  # `local-cli` is no flavor of `local`
        backend = spelled[name]
        if wanted == name:
            return ComputeTarget(backend)
        if wanted.startswith(f"{name}-"):
            flavor = wanted.removeprefix(f"{name}-")
            return ComputeTarget(backend, backend.short_names.get(flavor, flavor))
    if place := (not_yet or {}).get(re.split(r"[-_]", wanted)[0]):
        raise UnknownBackend(
            f"{place} ({text}) are not there yet; there are {', '.join(names())}.",
            fix="`hubtrain backends` lists machines and prices.",
        )
    raise _unknown(text)


def _unknown(text: str) -> UnknownBackend:
    with ThreadPoolExecutor() as pool:  # one that does not answer holds up no other
        asked = pool.map(lambda name: list(_offers(load(name))), names())
    offers = dict(offer for offered in asked for offer in offered)
    whole = (f"{name}-{text.strip().lower()}" for name in names())  # `t4` is `spaces-t4`
    near = next((name for name in whole if name in offers), None) or nearest(text, offers)
    return UnknownBackend(
        f"There is no backend {text!r}; there are {', '.join(names())}.\n{listed(text, offers)}",
        fix=f"Did you mean --backend {near}?" if near else "",
    )


def _offers(backend: type[Backend[Any]]) -> Iterator[tuple[str, str]]:
    """Yield what can be written after `--backend`, each with its price as far as it is known."""
    yield from ((name, "") for name in (backend.name, *backend.aliases))
    yield from ((f"{backend.name}-{short}", "") for short in backend.short_names)
    with suppress(HubtrainError):
        for flavor in backend().flavors():
            price = f" ${flavor.usd_per_hour:.2f}/h"
            written = (flavor.name, *flavor.short_names)
            for name in (n for n in written if n != backend.name):
                yield f"{backend.name}-{name}", price
