"""What a sweep tries: values of a task's settings, as lists and ranges.

As text (`--try lr=1e-5,3e-5`, `--try lr=log:1e-6..1e-3`, `--try batch_size=8..64:8`), or in a file
as a list or as a block of `low`, `high`, `log` and `step`. Whether the task takes a value is the
task's to say.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import yaml

from orchestrator.settings.gather import whose
from orchestrator.settings.layers import Catalog, Layer
from orchestrator.settings.sweep import MOST_TRIALS
from worker.errors import BadConfig
from worker.params import Setting
from worker.task import Task

TRY = "--try"

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"\s*(log:)?\s*({_NUMBER})\s*\.\.\s*({_NUMBER})\s*(?::\s*({_NUMBER}))?\s*")
_OF_A_RANGE = {"low", "high", "log", "step"}


@dataclass(frozen=True, slots=True)
class Choices:
    """A setting and the values that are tried."""

    setting: str
    values: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.setting} {', '.join(map(shown, self.values))}"

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values that have to be allowed for all of them to be."""
        return self.values


@dataclass(frozen=True, slots=True)
class Numbers:
    """A setting and the range its values are drawn from, both ends included."""

    setting: str
    low: float
    high: float
    log: bool = False
    """Whether magnitudes are drawn evenly, instead of values."""

    step: float | None = None
    whole: bool = False
    """Whether values are whole numbers."""

    def __str__(self) -> str:
        log, step = "log:" if self.log else "", f":{self.step:g}" if self.step else ""
        return f"{self.setting} {log}{self.low:g}..{self.high:g}{step}"

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values that have to be allowed for all of them to be."""
        return tuple(int(end) if self.whole else end for end in (self.low, self.high))


Space = tuple[Choices | Numbers, ...]


def shown(value: Any) -> str:
    """Return a value of a setting as people read it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else "none" if value is None else str(value)


def said(words: Sequence[str]) -> dict[str, str]:
    """Return what `--try NAME=VALUES` says, given several times. Raises `BadConfig`."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, values = word.partition("=")
        if not (equals and name.strip() and values.strip()):
            raise BadConfig(f"{TRY} {word}: write NAME=VALUES, as in {TRY} lr=1e-5,3e-5")
        if name.strip() in found:
            raise BadConfig(f"{TRY} {name.strip()} is given twice; put all its values into one.")
        found[name.strip()] = values
    return found


def space_of(task: Task[Any], tried: Mapping[str, Any]) -> Space:
    """Return what is tried, by the settings' own names.

    Raises `BadConfig` that names all that is wrong: names which are no settings of the task's
    training, each with the nearest one, and values that cannot be read.
    """
    if not tried:
        raise BadConfig("say what to try.", fix=f"{TRY} NAME=VALUES, or `sweep:` in the file")
    catalog = Catalog((task.params,), elsewhere=whose)
    wrong: list[str] = []
    found: dict[str, Choices | Numbers] = {}
    for key, raw in tried.items():
        try:
            (name,) = catalog.named(Layer(TRY, {key: key})).values
            if name in found:
                wrong.append(f"{TRY} {key}: {name} is given twice; put all its values into one.")
            found[name] = _dimension(catalog.settings[name], raw)
        except BadConfig as error:
            wrong.append(error.message)
        except ValueError as error:
            wrong.append(f"{TRY} {key}: {error}")
    if wrong:
        raise BadConfig("\n".join(wrong))
    return tuple(found.values())


def grid(space: Space) -> list[dict[str, Any]]:
    """Return all combinations, the last setting changing fastest. Raises `BadConfig`."""
    ranges = [one for one in space if isinstance(one, Numbers)]
    if ranges:
        raise BadConfig(
            f"a grid is of lists, and {', '.join(map(str, ranges))} is a range.",
            fix="--trials 20 draws so many from it, or list the values.",
        )
    lists = [one.values for one in space if isinstance(one, Choices)]
    if (many := math.prod(map(len, lists))) > MOST_TRIALS:
        raise BadConfig(
            f"the grid has {many:,} combinations, and a sweep at most {MOST_TRIALS:,}.",
            fix="--trials 50 tries so many of them.",
        )
    names = [one.setting for one in space]
    return [dict(zip(names, values, strict=True)) for values in product(*lists)]


def probes(space: Space) -> Iterator[dict[str, Any]]:
    """Yield combinations in which every value, and both ends of every range, stand once or more."""
    usual = {one.setting: one.ends[0] for one in space}
    yield usual
    for one in space:
        for value in one.ends[1:]:
            yield {**usual, one.setting: value}


def _dimension(setting: Setting, raw: Any) -> Choices | Numbers:
    """Return one setting's values. Raises `ValueError`."""
    if isinstance(raw, Mapping):
        return _range(setting, raw)
    if isinstance(raw, str) and (match := _RANGE.fullmatch(raw)):
        log, low, high, step = match.groups()
        return _range(setting, {"low": low, "high": high, "log": bool(log), "step": step})
    values = raw if isinstance(raw, list) else _listed(raw) if isinstance(raw, str) else [raw]
    if any(isinstance(value, list | Mapping) for value in values):
        raise ValueError("may be a list of plain values only")
    if not 0 < len(values) <= MOST_TRIALS:
        raise ValueError(f"{len(values):,} values; there may be 1 to {MOST_TRIALS:,}")
    once = {str(value): value for value in values}
    return Choices(setting.name, tuple(once.values()))


def _listed(text: str) -> list[Any]:
    if text.strip().startswith("["):
        try:
            read = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(f"{text} is not a list") from error
        return read if isinstance(read, list) else [read]
    return [part.strip() for part in text.split(",") if part.strip()]


def _range(setting: Setting, raw: Mapping[str, Any]) -> Numbers:
    if setting.type not in {int, float}:
        raise ValueError("takes no numbers, so its values are to be listed")
    if unknown := {str(key) for key in raw} - _OF_A_RANGE:
        raise ValueError(f"a range has low, high, log and step, and not {', '.join(unknown)}")
    low, high = (_number(raw.get(end), end) for end in ("low", "high"))
    step = None if raw.get("step") is None else _number(raw["step"], "step")
    log, whole = raw.get("log") is True, setting.type is int
    if low >= high:
        raise ValueError(f"{low:g} is to be less than {high:g}")
    if log and (low <= 0 or step is not None):
        raise ValueError("a range by magnitude (log) begins above 0 and has no step")
    if step is not None and not 0 < step <= high - low:
        raise ValueError(f"a step of {step:g} does not fit between {low:g} and {high:g}")
    if whole and any(n is not None and n != int(n) for n in (low, high, step)):
        raise ValueError("takes whole numbers")
    return Numbers(setting.name, low, high, log, step, whole)


def _number(value: Any, name: str) -> float:
    try:
        number = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not math.isfinite(number):
        raise ValueError(f"{name} is to be a number, and is {str(value)[:40]}")
    return number
