"""The plan that `--dry-run` prints: what was decided and by whom, and what would be sent where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import worker.tasks
from backends.base import LaunchRequest
from orchestrator.data.package import Package
from orchestrator.jobs.submit import Order
from orchestrator.settings.layers import FLAGS, Settings
from orchestrator.words import count, size
from worker import launch
from worker.contract import DataRef
from worker.params import Params, settings_of

DEFAULT = "default"
"""Where a value comes from that nobody gave."""


@dataclass(frozen=True, slots=True)
class Value:
    """One setting as it will be used."""

    name: str
    value: Any
    origin: str
    """`flags`, `environment`, the file's name, or `default`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A job that has been checked and packed, and not been sent."""

    settings: tuple[Value, ...]
    package: Package
    order: Order
    request: LaunchRequest
    files: Package | None = None
    """Files that go along."""

    def lines(self) -> Iterator[str]:
        """Yield the plan as people read it."""
        yield "Settings; those not named here are as by default"
        names = max((len(one.name) for one in self.settings), default=0)
        values = max((len(_text(one.value)) for one in self.settings), default=0)
        for one in self.settings:
            origin = "flag" if one.origin == FLAGS else one.origin
            yield f"  {one.name:<{names}}  {_text(one.value):<{values}}  {origin}"
        if self.package.rows or self.package.remote != DataRef():
            yield f"Data   {self._data}"
        if self.files is not None:
            yield f"Files  {self._along(self.files)}"
        yield f"{self._made:<6} {' and '.join(self._model) or 'nowhere: it is not kept'}"
        if several := self._several:
            yield f"Runs   {several}"
        yield from str(self.request).splitlines()

    def to_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        push, output = self.order.push, self.order.output
        return {
            "settings": {s.name: {"value": s.value, "from": s.origin} for s in self.settings},
            "data": {
                **self.order.data.model_dump(mode="json"),
                "packed": self.package.remote is None,
                "bytes": self.package.stored_bytes if self.package.remote is None else None,
            },
            "files": self.order.files.model_dump(mode="json") if self.order.files else None,
            "model": {
                "repo_id": push.repo_id if push else None,
                "private": push.private if push else None,
                "folder": str(output) if output else None,
            },
            "runs": self._several or None,
            "plan": self.request.to_json(),
        }

    @property
    def _made(self) -> str:
        return worker.tasks.load(self.order.task).makes.capitalize()

    @property
    def _several(self) -> str:
        return launch.shown(self.order.parallel, self.order.machine.accelerators)

    @property
    def _data(self) -> str:
        data, package = self.order.data, self.package
        if package.remote is not None and data.repo_id is None:
            return f"{data.folder} · as the earlier job had it"
        if package.remote is not None:
            return f"{data.repo_id} at {str(data.revision)[:7]}, used where it is"
        what = f"{count(package.rows, 'training row')}, {size(package.stored_bytes)}"
        if data.repo_id:
            return f"{data.repo_id}, a private dataset · {what}, not sent again if it is there"
        return f"{data.folder} · {what}"

    def _along(self, files: Package) -> str:
        ref = self.order.files
        names = ", ".join(path.rpartition("/")[-1] for path in files.train)
        where = f"{ref.repo_id}, a private dataset" if ref and ref.repo_id else ref and ref.folder
        return f"{names}, {size(files.stored_bytes)} · {where}"

    @property
    def _model(self) -> Iterator[str]:
        if push := self.order.push:
            yield f"{push.repo_id}, a {'private' if push.private else 'public'} repo"
        if self.order.output:
            yield f"the folder {self.order.output}"


def chosen(
    parts: Iterable[Params], settings: Settings, important: Mapping[str, Any]
) -> tuple[Value, ...]:
    """Return the `important` settings, then those of `parts` that are not as by default."""
    parts = list(parts)
    given = {s.name: (getattr(part, s.name), s) for part in parts for s in settings_of(type(part))}
    origins = {n: o for part in parts for n, o in settings.origins_of(type(part)).items()}
    values = dict(important)
    for name, (value, setting) in given.items():
        if name not in values and value != setting.default:
            values[name] = value
    return tuple(Value(name, value, origins.get(name, DEFAULT)) for name, value in values.items())


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ", ".join(map(_text, value))
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
