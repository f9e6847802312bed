"""Counts that a surface may draw as bars: examples by class, by length, by the number they have."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MOST = 12
"""Bars of one picture; the smallest classes and the longest examples share the last one."""


NARROWEST = 1e-290
"""Numbers that are nearer to each other are not told apart."""


@dataclass(frozen=True, slots=True)
class Bars:
    """Counts, each under a name."""

    title: str
    bars: tuple[tuple[str, int], ...]


def by_class(title: str, counts: Mapping[str, int], scale: float = 1) -> Bars:
    """Return classes by how many examples each has, the largest first; counts times `scale`."""
    ordered = sorted(counts.items(), key=lambda pair: -pair[1])
    first = ordered if len(ordered) <= MOST else ordered[: MOST - 1]
    bars = [(name, round(count * scale)) for name, count in first]
    if rest := ordered[len(first) :]:
        bars.append((f"{len(rest):,} others", round(sum(n for _, n in rest) * scale)))
    return Bars(title, tuple(bars))


def by_length(title: str, lengths: Iterable[int], scale: float = 1) -> Bars:
    """Return how many examples are so long, in steps of one round length; counts times `scale`.

    One in a hundred may be far longer than all others: those share the last bar.
    """
    ordered = sorted(lengths)
    if not ordered:
        return Bars(title, ())
    step = _round(ordered[len(ordered) * 99 // 100] / (MOST - 1))
    first, last = ordered[0] // step, min(ordered[-1] // step, MOST - 1)
    counts = Counter(min(length // step, last) for length in ordered)
    names = {at: f"{at * step:,} to {(at + 1) * step - 1:,}" for at in range(first, last + 1)}
    if ordered[-1] >= (last + 1) * step:
        names[last] = f"from {last * step:,}"
    elif step == 1:
        names = {at: f"{at}" for at in names}
    return Bars(title, tuple((name, round(counts[at] * scale)) for at, name in names.items()))


def by_number(title: str, numbers: Iterable[float], scale: float = 1) -> Bars:
    """Return how many examples have a number between such bounds; counts times `scale`.

    The bounds are round and equally far apart; one in a hundred on either side may be far off,
    and those share the outer bars.
    """
    ordered = sorted(n for n in numbers if math.isfinite(n))
    if not ordered:
        return Bars(title, ())
    low, high = ordered[len(ordered) // 100], ordered[(len(ordered) - 1) * 99 // 100]
    if low == high:
        low, high = ordered[0], ordered[-1]
    if low == high:
        return Bars(title, ((f"{low:g}", round(len(ordered) * scale)),))
    if not NARROWEST < high - low < math.inf:
        return Bars(title, ())
    step = _round_part((high - low) / (MOST - 2))
    first, last = math.floor(low / step), math.floor(high / step)
    counts = Counter(min(max(math.floor(n / step), first), last) for n in ordered)
    places = range(first, last + 1)
    names = {at: f"{_plain(at, step)} to {_plain(at + 1, step)}" for at in places}
    if ordered[0] < first * step:
        names[first] = f"below {_plain(first + 1, step)}"
    if ordered[-1] >= (last + 1) * step:
        names[last] = f"from {_plain(last, step)}"
    return Bars(title, tuple((names[at], round(counts[at] * scale)) for at in places))


def _plain(at: int, step: float) -> str:
    return f"{at * step:.10g}"


def _round_part(width: float) -> float:
    """Return the next larger number that is 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(width))
    return next(n * power for n in (1, 2, 5, 10) if n * power >= width)


def _round(width: float) -> int:
    """Return the next larger length that is 1, 2 or 5 times a power of ten."""
    power = int(10 ** math.floor(math.log10(max(1.0, width))))
    return next(n * power for n in (1, 2, 5, 10) if n * power >= width)
