"""How many tokens texts have, by the model's own tokenizer, and how many of them are cut. Light."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from worker.families.text.params import TextSettings
from worker.families.text.shape import positions
from worker.finding import Finding

CHARACTERS_A_TOKEN = 4
"""Where the model has no `tokenizer.json` to count with."""

LOOKED_AT = 40_000
"""Characters of a text that are counted; of a longer one the rest is taken to be like them."""

BATCH = 512
"""Texts handed to the tokenizer's threads at a time."""

OFTEN_CUT = 0.1
"""Share of texts that are cut from which on it is worth a warning."""


@dataclass(frozen=True)
class Lengths:
    """The tokens of rows, special ones included."""

    counts: Sequence[int]
    seen: int
    """Tokens of a row that the model is given."""

    exact: bool = True
    """Whether the model's own tokenizer has counted."""

    @cached_property
    def ordered(self) -> list[int]:
        return sorted(self.counts)

    @property
    def cut(self) -> int:
        """Rows that are longer than the model sees."""
        return sum(count > self.seen for count in self.counts)

    @property
    def longest(self) -> int:
        """Tokens of the longest row, as the model is given it."""
        return min(self.seen, max(self.counts, default=0))

    @property
    def total(self) -> int:
        """Tokens of all rows, as the model is given them."""
        return sum(min(self.seen, count) for count in self.counts)


def lengths(
    rows: Sequence[Any], tokenizer: Any, params: TextSettings, config: Mapping[str, Any]
) -> Lengths:
    """Return the tokens of rows: texts, pairs of texts, or lists of words.

    `tokenizer` is a `tokenizers.Tokenizer`; none where the model has no `tokenizer.json`.
    """
    seen = params.seen(config)
    if tokenizer is None:
        return Lengths([2 + _characters(row) // CHARACTERS_A_TOKEN for row in rows], seen, False)
    tokenizer.no_truncation()  # as some files say
    tokenizer.no_padding()
    counts = []
    for start in range(0, len(rows), BATCH):
        group = rows[start : start + BATCH]
        heads = [_head(row) for row in group]
        found = tokenizer.encode_batch(heads, is_pretokenized=isinstance(group[0], list))
        pairs = zip(group, heads, found, strict=True)
        counts += [round(len(one.ids) * _longer(row, head)) for row, head, one in pairs]
    return Lengths(counts, seen)


def findings(
    found: Lengths, params: TextSettings, unit: str, flag: str = "--max-seq-length"
) -> Iterable[Finding]:
    """How long rows are, and how many are cut; `unit` is what a row is called, singular."""
    if not (count := len(found.ordered)):
        return
    median, most = found.ordered[count // 2], found.ordered[min(count - 1, count * 99 // 100)]
    how = "" if found.exact else ", estimated from characters"
    text = f"tokens a {unit}{how}: median {median:,}, 99% {most:,}, longest {found.ordered[-1]:,}"
    if not found.cut:
        yield Finding("ok", "data", text)
        return
    share, cut = found.cut / count, f"{found.cut:,} {unit}{'s' * (found.cut != 1)}"
    text = f"{text} · {cut} ({share:.1%}) cut at {found.seen:,}"
    if share < OFTEN_CUT or found.seen < params.max_seq_length:
        yield Finding("ok", "data", f"{text} ({flag})")
    else:
        yield Finding(
            "warn", "data", text, f"{flag} {min(most, 2 * found.seen):,}".replace(",", "")
        )


def shortened(params: TextSettings, config: Mapping[str, Any], name: str) -> Iterable[Finding]:
    """That more tokens were asked for than the model `name` can see."""
    if "max_seq_length" in params.model_fields_set and params.seen(config) < params.max_seq_length:
        text = f"{name} sees {positions(config):,} tokens at most, so texts are cut there"
        yield Finding("warn", "data", text, f"--max-seq-length {positions(config)}")


def _head(row: Any) -> Any:
    """Return a row as far as it is looked at."""
    if isinstance(row, str):
        return row[:LOOKED_AT]
    if isinstance(row, tuple):
        return tuple(text[:LOOKED_AT] for text in row)
    return row[: LOOKED_AT // CHARACTERS_A_TOKEN]


def _longer(row: Any, head: Any) -> float:
    """Return how many times as long a row is as what was looked at of it."""
    return _characters(row) / max(1, _characters(head)) if row != head else 1.0


def _characters(row: Any) -> int:
    return len(row) if isinstance(row, str) else sum(map(len, row))
