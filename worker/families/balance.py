"""What the check finds about classes and steps, whatever the examples are. Light."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping

from worker.common import Optimisation
from worker.finding import Finding
from worker.shorten import some

FEW = 5
"""Examples of a class below which the user is told; AutoTrain refused fewer."""

MUCH_MORE = 10
"""Times as many examples as the smallest class that make the largest worth a warning."""

FEW_STEPS = 10
"""Optimizer steps below which the user is told."""


def counted(counts: Mapping[str, int], scale: float = 1) -> str:
    """Return classes and how many examples each has, the largest first."""
    about = "" if scale == 1 else "about "
    ordered = sorted(counts.items(), key=lambda pair: -pair[1])
    return some(f"{name} {about}{round(n * scale):,}" for name, n in ordered)


def doubtful(counts: Mapping[str, int], unit: str, scale: float = 1) -> Iterable[Finding]:
    """Classes that may be one, that have hardly any examples, or many times as many as another.

    `unit` is what an example is called, plural: images. Counts times `scale` are those of the
    whole.
    """
    yield from _alike(counts)
    yield from _uneven(counts, unit, scale)


def _alike(counts: Mapping[str, int]) -> Iterable[Finding]:
    """Classes whose names differ in nothing but capitals and blanks."""
    kin: dict[str, list[str]] = {}
    for name in counts:
        kin.setdefault("".join(name.split()).casefold(), []).append(name)
    if same := [names for names in kin.values() if len(names) > 1]:
        named = some((some(map(_quoted, names)) for names in same), between="; ")
        text = f"names of classes that differ in capitals or blanks alone: {named}"
        yield Finding("warn", "data", text, fix="write them alike where they are one class")


def _quoted(name: str) -> str:
    return f'"{name}"'


def _uneven(counts: Mapping[str, int], unit: str, scale: float) -> Iterable[Finding]:
    if sum(count > 0 for count in counts.values()) < 2:  # noqa: PLR2004
        return
    few = {name: n for name, n in counts.items() if n * scale < FEW}
    if few:
        named = some(f"{name} {n}" for name, n in few.items())
        text = f"fewer than {FEW} {unit} of {classes(len(few))}: {named}"
        yield Finding("warn", "data", text, fix=f"more {unit} of them, or leave them out")
        return
    most, least = max(counts, key=lambda c: counts[c]), min(counts, key=lambda c: counts[c])
    if counts[most] >= MUCH_MORE * counts[least]:
        text = (
            f'"{most}" has {counts[most] / counts[least]:.0f} times as many {unit} as "{least}", '
            "which the model may hardly learn"
        )
        yield Finding("warn", "data", text, fix=f'more {unit} of "{least}"')


def validated(
    learned: Collection[str], seen: Collection[str], source: str, unit: str, *, whole: bool
) -> Iterable[Finding]:
    """A validation split that lacks a class, or has one that is not learned.

    `unit` is what an example is called, singular; all of the training split was read if `whole`.
    """
    if unknown := sorted(set(seen) - set(learned)):
        named = f"{classes(len(unknown))} that no training {unit} is of: {some(unknown)}"
        fix = f"give them training {unit}s, or take them out of the validation split"
        yield Finding("error" if whole else "warn", "data", f"{source} has {named}", fix)
    if missing := sorted(set(learned) - set(seen)):
        text = f"{source} has no {unit} of {classes(len(missing))}: {some(missing)}"
        yield Finding("warn", "data", text)


def plan(rows: int, steps: int, params: Optimisation, unit: str) -> Finding:
    """How many examples, called `unit` (plural), are learned from, in how many steps."""
    batch = params.batch_size * params.gradient_accumulation
    epochs = f"{params.epochs:,g} epoch{'s' * (params.epochs != 1)}, "
    epochs = "" if params.max_steps else epochs
    taken = f"{steps:,} step{'s' * (steps != 1)}"
    text = f"{rows:,} {unit} to learn from · {epochs}{batch} a step: {taken}"
    return Finding("ok", "data", text)


def few_steps(steps: int, params: Optimisation) -> Iterable[Finding]:
    """A training too short to learn much."""
    if steps >= FEW_STEPS:
        return
    text = f"only {steps} optimizer step{'s' * (steps != 1)}: a model hardly learns in so few"
    epochs = math.ceil(params.epochs * FEW_STEPS / max(1, steps))
    fix = f"--epochs {epochs}" if params.max_steps is None else f"--max-steps {FEW_STEPS}"
    yield Finding("warn", "data", text, fix)


def rows(numbers: Collection[int], what: str) -> str:
    """Return how many rows are something, and the first of them."""
    return f"{len(numbers):,} row{'s' * (len(numbers) != 1)} {what}, {some(numbers)}"


def classes(count: int) -> str:
    """Return so many classes, in words."""
    return f"{count:,} class{'es' * (count != 1)}"
