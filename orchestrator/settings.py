"""Settings in layers: defaults < file < environment < flags, merged as dicts, validated once.

A layer is a dict and where it came from. Layers know no types: what a value means is decided by
the params classes, and complaints name a setting the way its layer spells it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from worker.errors import BadConfig
from worker.params import Params, Setting, settings_of

P = TypeVar("P", bound=Params)

FLAGS = "flags"
ENVIRONMENT = "environment"
_VARIABLE = re.compile(r"\$\{(\w+)(?::?[-=]([^}]*))?\}")
_AUTOTRAIN_KEYS = {"base_model": "model", "path": "data_path"}


@dataclass(frozen=True, slots=True)
class Layer:
    """Values from one place, under the setting's own names once `Catalog.named` has seen them."""

    source: str
    """`flags`, `environment`, or the file's name."""

    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Catalog:
    """All settings a command knows, from several params classes, found by any spelling."""

    classes: tuple[type[Params], ...]
    settings: Mapping[str, Setting] = field(init=False)
    keys: Mapping[str, str] = field(init=False)
    """Every spelling, dashes as underscores → the setting's name."""

    def __post_init__(self) -> None:
        settings = {s.name: s for c in self.classes for s in settings_of(c)}
        object.__setattr__(self, "settings", settings)
        object.__setattr__(self, "keys", {k: s.name for s in settings.values() for k in s.keys})

    def named(self, layer: Layer) -> Layer:
        """Return the layer under the settings' own names; raises `BadConfig` on unknown keys."""
        found: dict[str, Any] = {}
        wrong: list[str] = []
        for key, value in layer.values.items():
            name = self.keys.get(str(key).replace("-", "_"))
            if name is None:
                wrong.append(self._unknown(str(key), layer.source))
            elif value == "" and self.settings[name].required:
                continue  # asked for as what it is: missing
            else:
                found[name] = self._none(name, value)
        if wrong:
            raise BadConfig("\n".join(wrong))
        return Layer(layer.source, found)

    def _unknown(self, key: str, source: str) -> str:
        near = get_close_matches(key.replace("-", "_"), self.keys, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        return f"{source}: no setting {key!r}.{hint}"

    def _none(self, name: str, value: Any) -> Any:
        said_none = isinstance(value, str) and value.lower() in {"none", "null", ""}
        return None if said_none and self.settings[name].optional else value


@dataclass(frozen=True, slots=True)
class Settings:
    """The merged layers: what each setting is, and where it was said."""

    catalog: Catalog
    values: Mapping[str, Any]
    origins: Mapping[str, str]

    def of(self, params: type[P]) -> P:
        """Return one class of settings, validated; raises `BadConfig` naming all that is wrong."""
        values = {k: v for k, v in self.values.items() if k in params.model_fields}
        try:
            return params(**values)
        except ValidationError as error:
            lines = [self._complaint(e) for e in error.errors()]
            raise BadConfig("\n".join(lines)) from error

    def _complaint(self, error: Any) -> str:
        words = str(error["msg"]).removeprefix("Value error, ")
        if not error["loc"]:
            return words
        name = str(error["loc"][0])
        setting = self.catalog.settings[name]
        if error["type"] == "missing":
            return f"{setting.flags[0]} is needed: {setting.help}"
        value = error["input"]
        near = get_close_matches(str(value), setting.choices, n=1)
        if setting.choices:
            words = f"is not one of {', '.join(setting.choices)}"
        hint = f" Did you mean {near[0]}?" if near else ""
        return f"{self.spelled(name)} {value!r}: {words}.{hint}"

    def spelled(self, name: str) -> str:
        """Return the setting's name as the user wrote it, with its file."""
        origin = self.origins.get(name, FLAGS)
        setting = self.catalog.settings[name]
        if origin == FLAGS:
            return setting.flags[0]
        return setting.env if origin == ENVIRONMENT else f"{origin}: {name}"


def merge(catalog: Catalog, layers: Iterable[Layer]) -> Settings:
    """Return the layers merged, later ones winning. All unknown keys are named at once."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    wrong: list[str] = []
    for layer in layers:
        try:
            named = catalog.named(layer)
        except BadConfig as error:
            wrong.append(error.message)
            continue
        values.update(named.values)
        origins.update(dict.fromkeys(named.values, layer.source))
    if wrong:
        raise BadConfig("\n".join(wrong))
    return Settings(catalog, values, origins)


def from_environment(catalog: Catalog, environ: Mapping[str, str]) -> Layer:
    """Return what `HUBTRAIN_<NAME>` variables set; others are none of our business."""
    found = {s.name: environ[s.env] for s in catalog.settings.values() if s.env in environ}
    return Layer(ENVIRONMENT, found)


def from_file(path: Path, environ: Mapping[str, str] = os.environ) -> tuple[Layer, str | None]:
    """Return a YAML file's settings and the task it names, if it does.

    Both a flat mapping and AutoTrain's layout (`data:`, `params:`, `hub:` blocks with
    `column_mapping`) are read; `${VAR}`, `${VAR:-default}` and `${VAR:=default}` work anywhere.
    Raises `BadConfig`.
    """
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadConfig(f"cannot read {path}: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:
        at = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise BadConfig(f"{path}{at} is not YAML: {error.problem}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadConfig(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(loaded, dict):
        raise BadConfig(f"{path} must hold settings as `name: value` lines")
    flat = _expand(_flatten(loaded), environ, path.name)
    task = flat.pop("task", None)
    return Layer(path.name, flat), task


def _flatten(loaded: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in loaded.items():
        if isinstance(value, dict):
            flat.update(_flatten(value))
        else:
            flat[_AUTOTRAIN_KEYS.get(key, key)] = value
    return flat


def _expand(flat: dict[str, Any], environ: Mapping[str, str], source: str) -> dict[str, Any]:
    def one(match: re.Match[str]) -> str:
        name, default = match.groups()
        if name in environ:
            return environ[name]
        if default is None:
            raise BadConfig(f"{source}: {match[0]} is used but {name} is not set")
        return default.strip("\"'")

    return {k: _VARIABLE.sub(one, v) if isinstance(v, str) else v for k, v in flat.items()}
