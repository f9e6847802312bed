"""Counts that a surface may draw as bars: how many examples of each class, how long they are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MOST = 12
"""Bars of one picture; the smallest classes and the longest examples share the last one."""


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


def _round(width: float) -> int:
    """Return the next larger length that is 1, 2 or 5 times a power of ten."""
    power = int(10 ** math.floor(math.log10(max(1.0, width))))
    return next(n * power for n in (1, 2, 5, 10) if n * power >= width)
