"""A sample of data for whoever has none at hand: that of `hubtrain init`, taken into a form."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import worker.tasks
from orchestrator.form import uploads
from orchestrator.form.draft import Draft, draft
from worker.task import Sample


def offers(said: Draft) -> bool:
    """Whether a draft that says no data yet could begin with a sample."""
    return not said.values.get("data_path") and _of(said) is not None


def sampled(said: Draft) -> Draft:
    """Return a draft with the settings of a sample, whose files are kept as an upload is.

    It is returned as it is where there is none for what it says.
    """
    if (sample := _of(said)) is None:
        return said
    folder = uploads.written(sample.files)
    settings = {name: _placed(value, sample, folder) for name, value in sample.settings.items()}
    return draft(said.task, {**said.values, **settings})


def _of(said: Draft) -> Sample | None:
    """Return the sample with data for what a draft says; none if there is none."""
    every = (given.items() for given in said.task.also_called.values())
    telling = {pair for items in every for pair in items}
    given = tuple(pair for pair in telling if said.values.get(pair[0]) == pair[1])
    return _sample(said.task.name, given)


@lru_cache(maxsize=64)
def _sample(task: str, given: tuple[tuple[str, Any], ...]) -> Sample | None:
    found = worker.tasks.load(task).sample(dict(given))
    return found if found is not None and "data_path" in found.settings else None


def _placed(value: Any, sample: Sample, folder: Path) -> Any:
    """Return a setting's value; where it names files of the sample, by where they lie."""
    if isinstance(value, list | tuple):
        return [_placed(one, sample, folder) for one in value]
    is_there = isinstance(value, str) and _has(sample.files, value)
    return str(folder / value) if is_there else value


def _has(files: Mapping[str, object], name: str) -> bool:
    return any(file == name or file.startswith(f"{name}/") for file in files)
