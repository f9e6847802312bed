"""Paths of the user's disk: told from names on the Hub, and kept from whoever reads a model.

A folder's name stays, what it lies in goes: `/home/ann/clients/acme/chats.jsonl` is `chats.jsonl`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from worker.contract import JobSpec, ModelRef
from worker.home import home

WORDS = "args"
"""The setting with what a script is called with: paths in it are those of its machine."""

_LOCAL = ("./", "../", "~", ".\\", "..\\")


def is_path(value: object) -> bool:
    """Whether a setting's value is a place on a disk, and no name on the Hub."""
    if not isinstance(value, str) or not value or "\n" in value or "{" in value:
        return False
    absolute = PurePosixPath(value).is_absolute() or PureWindowsPath(value).is_absolute()
    deep = value.partition("@")[0].count("/") > 1 and "://" not in value
    return absolute or value.startswith(_LOCAL) or deep or "\\" in value


def ref_of(model: str) -> ModelRef:
    """Return the model that people call so: a folder here, else as `ModelRef.named` reads it."""
    here = Path(model).expanduser().is_dir()
    return ModelRef(name=model) if here else ModelRef.named(model)


def base_of_adapter(config: Mapping[str, Any]) -> ModelRef | None:
    """Return the base that an `adapter_config.json` names, at its revision; none without one."""
    name, revision = config.get("base_model_name_or_path"), config.get("revision")
    if not name or not isinstance(name, str):
        return None
    return ModelRef(name=name, revision=str(revision) if revision and not is_path(name) else None)


def params_for_others(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings in which paths are only names."""
    return {name: _for_others(value) for name, value in params.items()}


def _for_others(value: Any) -> Any:
    if isinstance(value, list):
        return [_for_others(one) for one in value]
    return named(value) if is_path(value) else value


def spec_for_others(spec: JobSpec) -> JobSpec:
    """Return a job in which paths are only names."""
    model, data = spec.model, spec.data
    changes: dict[str, Any] = {"params": params_for_others(spec.params)}
    if model and is_path(model.name):
        changes["model"] = model.model_copy(update={"name": named(model.name)})
    if data.folder:
        changes["data"] = data.model_copy(update={"folder": named(data.folder)})
    if spec.files and spec.files.folder:
        changes["files"] = spec.files.model_copy(update={"folder": named(spec.files.folder)})
    if spec.machine.options:
        options = params_for_others(spec.machine.options)
        changes["machine"] = spec.machine.model_copy(update={"options": options})
    if spec.output:
        changes["output"] = named(spec.output)
    return spec.model_copy(update=changes)


def spec_for_machine(spec: JobSpec) -> JobSpec:
    """Return a job as a machine of the Hub is told it: a script's own words stay as typed."""
    sent = spec_for_others(spec)
    if WORDS not in spec.params:
        return sent
    return sent.model_copy(update={"params": {**sent.params, WORDS: spec.params[WORDS]}})


def text_for_others(text: str, spec: JobSpec) -> str:
    """Return a log or a list of events without the paths of the job, of ours, or of a home."""
    base = spec.model.name if spec.model else None
    chosen = [*spec.params.values(), *spec.machine.options.values()]
    listed = [one for value in chosen if isinstance(value, list) for one in value]
    along = spec.files.folder if spec.files else None
    values = [base, spec.data.folder, along, spec.output, *chosen, *listed]
    places = {value: named(value) for value in values if isinstance(value, str) and is_path(value)}
    for folder, name in ((home(), "hubtrain"), (Path(os.path.expanduser("~")), "~")):
        if len(folder.parts) > 1:
            places[str(folder)] = name
    for place in sorted(places, key=len, reverse=True):
        text = text.replace(place, places[place])
    return text


def named(path: str) -> str:
    """Return what a path is called, without what it lies in."""
    return PureWindowsPath(path).name or PurePosixPath(path).name
