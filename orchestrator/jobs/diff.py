"""The differences between two jobs, in the words of their settings. No network.

Names, ids and prices are no difference, nor is where on a disk something lies, nor the commit of
packed data, whose repo is named by its content.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import worker.tasks
from orchestrator.data.package import content_of
from orchestrator.words import count
from worker.contract import DataRef, JobSpec, ModelRef
from worker.params import settings_of
from worker.paths import spec_for_others
from worker.shorten import shortened

LABELS = frozenset({"data_path"})
"""Settings that only say how somebody called what is compared by its content."""


def differences(before: JobSpec, now: JobSpec) -> list[str]:
    """Return a sentence for each thing that makes `now` another job; none for the same one."""
    old, new = spec_for_others(before), spec_for_others(now)
    if old.task != new.task:
        return [_said("the task", worker.tasks.typed(old.task), worker.tasks.typed(new.task))]
    return [*of_training(old, new), *_of_place(old, new)]


def of_training(before: JobSpec, now: JobSpec) -> list[str]:
    """Return the sentences about what is trained, and how; the two are of one task."""
    old, new = spec_for_others(before), spec_for_others(now)
    return [
        *_of_settings(old, new),
        *_unless_same("the base model", _model(old.model), _model(new.model)),
        *_unless_same_files("the rows", old.data, new.data),
        *_unless_same_files("the files sent along", old.files, new.files),
    ]


def _of_settings(old: JobSpec, new: JobSpec) -> Iterator[str]:
    settings = settings_of(worker.tasks.load(new.task).params)
    known = {setting.name for setting in settings}
    for name in sorted((old.params.keys() | new.params.keys()) - known):
        yield f"{name} is a setting of another version of hubtrain"
    for setting in settings:
        if setting.name not in LABELS:
            values = (spec.params.get(setting.name, setting.default) for spec in (old, new))
            yield from _unless_same(setting.flags[0], *map(plain, values))


def _of_place(old: JobSpec, new: JobSpec) -> Iterator[str]:
    yield from _unless_same("--backend", *("-".join(s.machine.words) for s in (old, new)))
    yield from _unless_same("GPUs", old.machine.accelerators, new.machine.accelerators)
    yield from _unless_same("processes", old.parallel.processes, new.parallel.processes)
    if old.machine.options != new.machine.options and old.machine.backend == new.machine.backend:
        yield f"settings of the backend {new.machine.backend}"
    if old.push and new.push:
        yield from _unless_same("--repo-id", old.push.repo_id, new.push.repo_id)
        yield from _unless_same("--private", old.push.private, new.push.private)
    yield from _unless_same("--max-cost", old.limits.max_usd, new.limits.max_usd)
    yield from _unless_same("--max-duration", old.limits.max_seconds, new.limits.max_seconds)
    yield from _unless_same("--hang-minutes", *(s.limits.hang_seconds / 60 for s in (old, new)))
    if (old.start and old.start.where) != (new.start and new.start.where):
        yield "the checkpoint that it goes on from"


def _unless_same(what: str, old: Any, new: Any) -> Iterator[str]:
    if old != new:
        yield _said(what, old, new)


def _said(what: str, old: Any, new: Any) -> str:
    verb = ("were", "are") if what.endswith("s") else ("was", "is")
    return f"{what} {verb[0]} {_shown(old)} and {verb[1]} {_shown(new)}"


def _shown(value: Any) -> str:
    if value is None:
        return "not given"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return shortened(", ".join(map(str, value)))
    return f"{value:g}" if isinstance(value, float) else shortened(value)


def plain(value: Any) -> Any:
    """Return a value of a setting as JSON has it."""
    return list(value) if isinstance(value, tuple) else value


def _model(ref: ModelRef | None) -> str | None:
    """Return a model in words; commits are told by their first letters."""
    if ref is None:
        return None
    return f"{ref.name} at {ref.revision[:12]}" if ref.revision else ref.name


def _unless_same_files(what: str, old: DataRef | None, new: DataRef | None) -> Iterator[str]:
    if _content(old) != _content(new):
        yield _said(what, _files(old), _files(new))


def _content(ref: DataRef | None) -> object:
    """Return what is the same for two references to the same rows of the same splits."""
    if ref is None:
        return None
    return content_of(ref) or (ref.repo_id, ref.revision, ref.folder), ref.train, ref.valid


def _files(ref: DataRef | None) -> str | None:
    """Return in words which rows, or files, a reference is to."""
    if ref is None:
        return None
    many = count(ref.rows, "row") if ref.rows else count(len((*ref.train, *ref.valid)), "file")
    at = f" at {str(ref.revision)[:7]}" if ref.revision else ""
    return f"{many} of {ref.repo_id or ref.folder}{at}"
