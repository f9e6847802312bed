"""How a setting is declared: once, as a typed field with its meaning written under it.

The name is the YAML key. Flags, environment variables, the web form, the reference table and
the validation are all read off the class by `settings_of`; nothing else lists them.
"""

from __future__ import annotations

import inspect
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, Self, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo

from worker.facts import CheckContext
from worker.finding import Finding

ENV_PREFIX = "HUBTRAIN_"

_HUGE = 10**6
_BOUNDS: Mapping[type[Any], str] = {
    Ge: "at least {:,}",
    Gt: "more than {:,}",
    Le: "at most {:,}",
    Lt: "less than {:,}",
}


class Params(BaseModel):
    """Base of every group of settings: unknown keys are errors, values never change."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    goes_on: ClassVar[bool] = False
    """Whether a job that resumes another may have other values of all settings that this very class
    declares; single ones are marked `GoesOn`."""

    def unlike(self, before: Self) -> Iterator[tuple[str, str]]:
        """Yield what keeps a training from going on that was begun with the settings `before`.

        Each is a setting by its name, and why. A group adds what follows from several.
        """
        for setting in settings_of(type(self)):
            old, new = getattr(before, setting.name), getattr(self, setting.name)
            if old != new and not setting.goes_on:
                yield setting.name, f"it was {'none' if old is None else old}"

    def checks(self, about: CheckContext) -> Iterator[Finding]:
        """Yield what is wrong or doubtful about settings whose values are each allowed.

        A group overrides it and goes on with `yield from super().checks(about)`, so that each
        group of a task is asked. May ask the Hub through `about`.
        """
        yield from ()

    @classmethod
    def brought(cls, given: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the settings that others among `given` set, each with where it is said: a file."""
        return {}


class Flag:
    """Other spellings of a setting: `Annotated[float, Flag("--learning-rate")]`.

    Dashes and underscores are the same, so each spelling is given once. A spelling also works
    as a YAML key, without its dashes.
    """

    def __init__(self, *names: str, off: tuple[str, ...] = ()) -> None:
        self.names = names
        self.off = off
        """Flags that switch a bool off, beside `--no-NAME`."""


class GoesOn:
    """Marks a setting that may change when a training is resumed: `Annotated[float, GoesOn()]`."""


class SecretPairs:
    """Marks a setting of NAME=VALUE pairs with secret values: see `worker.secret_variables`."""


class Rest:
    """Marks a setting whose value may also be the words of a command line behind `--`."""


class Consent:
    """Marks a setting that runs code which is not hubtrain's, or reads files of the user's.

    Only the user can give it: of a job that somebody else wrote down it is not taken.
    """


class Own:
    """Marks a setting that says to whom a job reports, and not how it trains.

    Of a job that somebody else wrote down it is not taken.
    """


class Cap:
    """Marks a setting that bounds what a job may cost or take: an empty value is an error there.

    `--max-cost "$MOST"` where no variable is set so would else be no bound at all.
    """


class Alone:
    """The value of a setting whose flag is given without one: `--gguf` is `--gguf auto`."""

    def __init__(self, value: str) -> None:
        self.value = value


class NotYet:
    """Values that users know from elsewhere and that are not there yet; complaints say so."""

    def __init__(self, *values: str) -> None:
        self.values = values


@dataclass(frozen=True, slots=True)
class Setting:
    """One declared setting, as the surfaces that show it need it."""

    name: str
    type: Any
    """The declared type without its `| None` and annotations."""

    default: Any
    required: bool
    optional: bool
    """Whether `none` is a value."""

    help: str
    group: str
    aliases: tuple[str, ...]
    off: tuple[str, ...]
    not_yet: tuple[str, ...] = ()
    alone: str | None = None
    """Its value where the flag is given without one; none where that is an error."""

    goes_on: bool = False
    """Whether a job that resumes another may have another value."""

    secret_pairs: bool = False
    """Whether it names variables whose values are secrets."""

    rest: bool = False
    """Whether the words behind `--` are its value."""

    consent: bool = False
    """Whether only the user can give it, and nobody else's job: see `Consent`."""

    own: bool = False
    """Whether it is no part of how a job trains: see `Own`."""

    cap: bool = False
    """Whether an empty value is an error, and not none: see `Cap`."""

    bounds: str = ""
    """What a number has to be, in words: `more than 0 and at most 1`; empty for any."""

    @property
    def flags(self) -> tuple[str, ...]:
        return ("--" + self.name.replace("_", "-"), *self.aliases)

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key that means this setting in a file."""
        long = (a for a in self.aliases if a.startswith("--"))
        return (self.name, *(a.removeprefix("--").replace("-", "_") for a in long))

    @property
    def env(self) -> str:
        return ENV_PREFIX + self.name.upper()

    @property
    def choices(self) -> tuple[str, ...]:
        """Values of a `Literal`; empty where anything of the type will do."""
        return tuple(map(str, get_args(self.type))) if get_origin(self.type) is Literal else ()


def listed(value: Any) -> Any:
    """Return names with commas between as a tuple, and all else as it is."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def unused(kind: str, used: Container[str], groups: Mapping[str, type[Params]]) -> dict[str, str]:
    """Return the settings of `groups` that are not `used`, each with a sentence that says whose.

    `kind` says what the groups are the settings of: `trainer`, `backend`.
    """
    whose: dict[str, list[str]] = {}
    for owner, group in groups.items():
        for name in group.model_fields:
            if name not in used:
                whose.setdefault(name, []).append(owner)
    return {
        name: f"only the {kind} {owners[0]} has it."
        if len(owners) == 1
        else f"only the {kind}s {', '.join(owners)} have it."
        for name, owners in whose.items()
    }


def settings_of(params: type[Params]) -> list[Setting]:
    """Return the settings of a class: its own group first, then those it inherits."""
    # The class that first declared a field names its group, so a task that only changes
    # a default leaves the setting where users know it.
    homes = {
        name: next(c for c in reversed(params.__mro__) if name in inspect.get_annotations(c))
        for name in params.model_fields
    }
    order = sorted(homes, key=lambda name: params.__mro__.index(homes[name]))
    return [_setting(name, params.model_fields[name], homes[name]) for name in order]


def _setting(name: str, field: FieldInfo, home: type[Params]) -> Setting:
    """Return a setting as a field declares it; its meaning is its home's where it has no other."""
    meaning = field.description or home.model_fields[name].description or ""
    flags = [m for m in field.metadata if isinstance(m, Flag)]
    marks = [*field.metadata, *home.model_fields[name].metadata]
    plain, optional = _without_none(field.annotation)
    return Setting(
        name=name,
        type=plain,
        default=field.get_default(call_default_factory=True),
        required=field.is_required(),
        optional=optional,
        help=" ".join(meaning.split()),
        group=(home.__doc__ or home.__name__).splitlines()[0].rstrip("."),
        aliases=tuple(n for flag in flags for n in flag.names),
        off=tuple(n for flag in flags for n in flag.off),
        not_yet=tuple(v for m in field.metadata if isinstance(m, NotYet) for v in m.values),
        alone=next((m.value for m in field.metadata if isinstance(m, Alone)), None),
        secret_pairs=any(isinstance(m, SecretPairs) for m in marks),
        rest=any(isinstance(m, Rest) for m in marks),
        goes_on=vars(home).get("goes_on", False) or any(isinstance(m, GoesOn) for m in marks),
        consent=any(isinstance(m, Consent) for m in marks),
        own=any(isinstance(m, Own) for m in marks),
        cap=any(isinstance(m, Cap) for m in marks),
        bounds=_bounds([*field.metadata, *_inner(field.annotation)]),
    )


def _bounds(marks: Iterable[Any]) -> str:
    """Return in words what a number has to be; what only catches slips of the keys is left out."""
    found = [
        (words, getattr(mark, kind.__name__.lower()))
        for mark in marks
        for kind, words in _BOUNDS.items()
        if isinstance(mark, kind)
    ]
    return " and ".join(words.format(value) for words, value in found if value < _HUGE)


def _inner(annotation: Any) -> tuple[Any, ...]:
    """Return the marks of a type that stands beside none, as in `Annotated[int, Ge(1)] | None`."""
    within = get_args(annotation) if get_origin(annotation) in {Union, UnionType} else ()
    return tuple(m for a in within if get_origin(a) is Annotated for m in get_args(a)[1:])


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) not in {Union, UnionType}:
        return _bare(annotation), False
    rest = [_bare(a) for a in get_args(annotation) if a is not type(None)]
    return (rest[0] if len(rest) == 1 else annotation), len(rest) < len(get_args(annotation))


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
