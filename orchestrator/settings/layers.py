"""Settings in layers: defaults < file < environment < flags, merged as dicts, validated once.

A layer is a dict and where it came from. Layers know no types: what a value means is decided by
the params classes, and complaints name a setting the way its layer spells it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from pydantic import ValidationError

from orchestrator.settings.autotrain import SYNONYMS
from orchestrator.settings.complaints import complaint
from worker import secret_variables
from worker.errors import BadConfig
from worker.nearest import hint, nearest
from worker.params import Params, Setting, settings_of
from worker.placeholders import NO_TOKEN, is_placeholder

P = TypeVar("P", bound=Params)

FLAGS = "flags"
ENVIRONMENT = "environment"
ARGUMENTS = "arguments"
"""Settings given as arguments of a Python function."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Values from one place, under the setting's own names once `Catalog.named` has seen them."""

    source: str
    """`flags`, `environment`, or the file's name."""

    values: Mapping[str, Any]
    lines: Mapping[str, int] = field(default_factory=dict)
    """In which line of its file each value stands, from 1."""

    notes: tuple[str, ...] = ()
    """What there is to say of how the values were read."""

    strict: bool = True
    """Whether a name that is no setting is refused. Where variables of other programs stand beside,
    it is noted, unless it looks like a slip of the keys."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """All settings a command knows, from several params classes, found by any spelling."""

    classes: tuple[type[Params], ...]
    ignored: type[Params] = Params
    """Settings that are known and do nothing."""

    settings: Mapping[str, Setting] = field(init=False)
    keys: Mapping[str, str] = field(init=False)
    """Every spelling, dashes as underscores → the setting's name."""

    elsewhere: Callable[[str], str] = lambda key: ""
    """Returns which other task a key is a setting of, as a sentence; nothing for none."""

    def __post_init__(self) -> None:
        classes = (self.ignored, *reversed(self.classes))  # the first that declares one wins
        settings = {s.name: s for c in classes for s in settings_of(c)}
        object.__setattr__(self, "settings", settings)
        object.__setattr__(self, "keys", {k: s.name for s in settings.values() for k in s.keys})

    def named(self, layer: Layer) -> Layer:
        """Return the layer under the settings' own names.

        Raises `BadConfig` that names all unknown keys, and settings said twice in two spellings.
        """
        found: dict[str, tuple[str, Any]] = {}
        wrong: list[str] = []
        notes = list(layer.notes)
        for key, value in layer.values.items():
            name = self.keys.get(str(key).replace("-", "_"))
            if name is None:
                (wrong if layer.strict or self._near(key) else notes).append(
                    self._unknown(str(key), layer.source)
                )
            elif self._says_nothing(name, value):
                continue
            elif name in found and found[name][1] != value:
                wrong.append(f"{layer.source}: {twice(found[name][0], str(key))}")
            else:
                found[name] = (str(key), value)
        if wrong:
            raise BadConfig("\n".join(wrong))
        return replace(
            layer,
            values={name: self._meant(name, value) for name, (_, value) in found.items()},
            lines={n: layer.lines[key] for n, (key, _) in found.items() if key in layer.lines},
            notes=tuple(notes),
        )

    def parted(self, layer: Layer) -> tuple[Layer, dict[str, str] | None]:
        """Return a named layer without secrets, and those by name; none where it says nothing.

        Raises `BadConfig`.
        """
        found: dict[str, str] | None = None
        values = dict(layer.values)
        for name in [name for name in values if self.settings[name].secret_pairs]:
            try:
                pairs = secret_variables.pairs(values[name])
            except ValueError as error:
                raise BadConfig(f"{self.settings[name].flags[0]}: {error}") from None
            values[name] = tuple(sorted(pairs))
            found = (found or {}) | {k: v for k, v in pairs.items() if v is not None}
        return replace(layer, values=values), found

    def notes(self, layer: Layer) -> list[str]:
        """Return what a named layer says, and a sentence for each setting that does nothing."""
        known = (self.settings[name] for name in self.ignored.model_fields)
        return [
            *layer.notes,
            *(_not_used(s, layer.source, s.help) for s in known if _asks(layer.values.get(s.name))),
        ]

    def _unknown(self, key: str, source: str) -> str:
        near = self._near(key)
        more = hint(near) if near else self.elsewhere(key)
        return f"{source}: no setting {key!r}.{more}"

    def _near(self, key: str) -> str | None:
        used = [key for key, name in self.keys.items() if name not in self.ignored.model_fields]
        return nearest(key, used, SYNONYMS)

    def _says_nothing(self, name: str, value: Any) -> bool:
        setting = self.settings[name]
        if value == "" and setting.required:
            return True  # asked for as what it is: missing
        return value is None and not setting.optional and "none" not in setting.choices

    def _meant(self, name: str, value: Any) -> Any:
        """Return what a file or a flag means by `None` and, in YAML, by an unquoted `no`."""
        setting = self.settings[name]
        if value == "" and setting.cap:
            return value
        if value is None or (isinstance(value, str) and value.lower() in {"none", "null", ""}):
            if setting.optional:
                return None
            return "none" if "none" in setting.choices else value
        return "no" if value is False and "no" in setting.choices else value


@dataclass(frozen=True, slots=True)
class Settings:
    """The merged layers: what each setting is, and where it was said."""

    catalog: Catalog
    values: Mapping[str, Any]
    origins: Mapping[str, str]
    notes: tuple[str, ...] = ()
    """What was said and does nothing, a sentence each."""

    lines: Mapping[str, int] = field(default_factory=dict)
    """In which line of its file a setting was said."""

    apart: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Secrets that were given by name, of which the settings hold the names alone."""

    def of(self, params: type[P]) -> P:
        """Return one class of settings, validated; raises `BadConfig` naming all that is wrong."""
        values = {k: v for k, v in self.values.items() if k in params.model_fields}
        try:
            return params(**values)
        except ValidationError as error:
            lines = [self._complaint(e) for e in error.errors()]
            raise BadConfig("\n".join(lines)) from error

    def complaints(self, params: type[Params]) -> dict[str, str]:
        """Return what is wrong with a class of settings, by the setting's name.

        What is wrong with several of them together is under an empty name.
        """
        values = {k: v for k, v in self.values.items() if k in params.model_fields}
        try:
            params(**values)
        except ValidationError as error:
            return {
                str(e["loc"][0]) if e["loc"] else "": self._complaint(e) for e in error.errors()
            }
        return {}

    def lacking(self, names: Iterable[str]) -> frozenset[str]:
        """Return those of some settings that are required, and that nobody has said."""
        known = self.catalog.settings
        needed = {name for name in names if name in known and known[name].required}
        return frozenset(needed - self.values.keys())

    def _complaint(self, error: Any) -> str:
        if not error["loc"]:
            return str(error["msg"]).removeprefix("Value error, ")
        name = str(error["loc"][0])
        return complaint(error, self.catalog.settings[name], self.spelled(name))

    def unused(self, why: Mapping[str, str]) -> tuple[str, ...]:
        """Return a sentence for each setting of `why` that was given and that nothing uses."""
        return tuple(
            _not_used(self.catalog.settings[name], self.origins[name], reason)
            for name, reason in why.items()
            if _asks(self.values.get(name))
        )

    def origins_of(self, params: type[Params]) -> Mapping[str, str]:
        """Return where the settings of a class were said, files that settings name included."""
        return {**params.brought(self.values), **self.origins}

    def given(self, *sources: str) -> frozenset[str]:
        """Return the names of the settings that come from these sources."""
        return frozenset(name for name, source in self.origins.items() if source in sources)

    def spelled(self, name: str) -> str:
        """Return the setting's name as the user wrote it, with its file."""
        return _spelled(self.catalog.settings[name], self.origins.get(name, FLAGS))


def _spelled(setting: Setting, source: str) -> str:
    if source == FLAGS:
        return setting.flags[0]
    if source == ARGUMENTS:
        return setting.name
    return setting.env if source == ENVIRONMENT else f"{source}: {setting.name}"


def _not_used(setting: Setting, source: str, why: str) -> str:
    return f"{_spelled(setting, source)} is not used: {why}"


def _asks(value: Any) -> bool:
    """Whether a value asks for something. AutoTrain's files name all settings, most as none."""
    return str(value).lower() not in {"none", "false"}


def twice(one: str, other: str) -> str:
    """Return the complaint about a setting that is given under two names."""
    return f"{one} and {other} are the same setting; give one of them."


def merge(catalog: Catalog, layers: Iterable[Layer]) -> Settings:
    """Return the layers merged, later ones winning. All unknown keys are named at once."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    wrong: list[str] = []
    notes: list[str] = []
    lines: dict[str, int] = {}
    secret: dict[str, str] = {}
    for layer in layers:
        try:
            named, given = catalog.parted(catalog.named(layer))
        except BadConfig as error:
            wrong.append(error.message)
            continue
        secret = secret if given is None else given
        values.update(named.values)
        origins.update(dict.fromkeys(named.values, layer.source))
        lines = {name: n for name, n in lines.items() if name not in named.values}
        lines.update(named.lines)
        notes += catalog.notes(named)
    if wrong:
        raise BadConfig("\n".join(wrong))
    return Settings(catalog, values, origins, tuple(notes), lines, secret)


def from_environment(catalog: Catalog, environ: Mapping[str, str]) -> Layer:
    """Return what `HUBTRAIN_<NAME>` variables set; names that are no settings are left alone."""
    found = {s.name: environ[s.env] for s in catalog.settings.values() if s.env in environ}
    token = environ.get("HF_TOKEN", "")
    return Layer(ENVIRONMENT, found, notes=(NO_TOKEN,) if is_placeholder(token) else ())
