"""Suggestions for names that do not exist: "Did you mean …?". Only this module makes them.

A wrong suggestion is worse than none, because people type what they are told. A name
is near if it has the same words in another order or spelling, has one or two typing errors, or is a
synonym. A word with a digit in it is taken as it is: `h100` is never a misspelt `a100`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_SHORT, _MEDIUM = 3, 9
"""Words of at most so many letters are matched with no typing error, and with one; longer ones with
two."""


def nearest(
    name: str, known: Iterable[str], synonyms: Mapping[str, str] | None = None
) -> str | None:
    """Return the one of `known` that `name` clearly means; none if there is no such one.

    Leading dashes, case and what stands between words do not matter. `synonyms` maps other words
    for a thing, in lower case with dashes, to what it is called here.
    """
    spelled = [(_words(one), one) for one in known]
    wanted = _words(name)
    if not "".join(wanted):
        return None
    for words, one in spelled:
        if "".join(words) == "".join(wanted):
            return one
    for words, one in spelled:
        if sorted(words) == sorted(wanted):
            return one
    meant = (synonyms or {}).get("-".join(wanted))
    for words, one in spelled:
        if meant is not None and words == _words(meant):
            return one
    slips = [(_slips(wanted, words), one) for words, one in spelled]
    near = [(count, one) for count, one in slips if count is not None]
    # a letter is left out sooner than one is added: of two as near, the longer one is meant
    return min(near, key=lambda pair: (pair[0], -len(pair[1])))[1] if near else None


def most_alike(name: str, known: Iterable[str]) -> list[str]:
    """Return `known` with what is spelled most like `name` first: a list to choose from."""
    from difflib import SequenceMatcher  # a command that has nothing to guess starts without it

    def unlike(one: str) -> tuple[int, int]:
        blocks = SequenceMatcher(None, name.casefold(), one.casefold(), autojunk=False)
        return -sum(block.size for block in blocks.get_matching_blocks()), len(one)

    return sorted(known, key=unlike)


def hint(near: str | None) -> str:
    """Return the sentence that offers `near`, after a blank; nothing for none."""
    return f" Did you mean {near}?" if near else ""


def _words(name: str) -> tuple[str, ...]:
    return tuple(w for w in re.split(r"[^\w]+|_", name.casefold()) if w)


def _slips(wanted: tuple[str, ...], words: tuple[str, ...]) -> int | None:
    """Return the number of typing errors between two words; none for too many."""
    if _exact(wanted) != _exact(words):
        return None
    one, other = "-".join(wanted), "-".join(words)
    letters = max(len(one), len(other))
    borne = 0 if letters <= _SHORT else 1 if letters <= _MEDIUM else 2
    if abs(len(one) - len(other)) > borne:
        return None
    count = distance(one, other)
    return count if count <= borne else None


def _exact(words: tuple[str, ...]) -> list[str]:
    return [word for word in words if any(c.isdigit() for c in word)]


def distance(one: str, other: str) -> int:
    """Return how many letters are to be added, dropped, changed or swapped with a neighbour.

    The optimal string alignment distance.
    """
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            least = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                least = min(least, before[j - 2] + 1)
            row.append(least)
        before, last = last, row
    return last[-1]
