"""Answers taken out of a text: which span is the best, and how often it is the right one.

Exact match and F1 are those of the evaluation script of SQuAD (Rajpurkar et al. 2016, section 6.1),
with the questions that have no answer counted as SQuAD 2.0 does (Rajpurkar et al. 2018): in
percent; the best of the true answers counts; case, punctuation and articles do not.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

LONGEST_ANSWER = 30
"""Tokens of an answer at most."""

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def answered(guesses: Sequence[str], truth: Sequence[Sequence[str]]) -> dict[str, float]:
    """Return the measures of `guesses`, one for each question; empty says that there is no answer.

    `truth` has all answers that count as right; none of them where there is none. HasAns and NoAns
    measure the two kinds of questions apart, where there are questions without an answer.
    """
    scores = np.array([_score(*pair) for pair in zip(guesses, truth, strict=True)]) * 100
    has = np.array([any(map(plain, answers)) for answers in truth])
    found = _means(scores, "exact_match", "f1")
    if not has.all():
        found |= _means(scores[~has], "NoAns_exact", "NoAns_f1")
        if has.any():
            found |= _means(scores[has], "HasAns_exact", "HasAns_f1")
    return found


def _means(scores: NDArray[Any], *names: str) -> dict[str, float]:
    return dict(zip(names, map(float, scores.mean(axis=0)), strict=True))


def _score(guess: str, truth: Sequence[str]) -> tuple[float, float]:
    """Return exact match and F1 of an answer, from 0 to 1."""
    wanted = [answer for answer in map(plain, truth) if answer] or [""]
    said = plain(guess)
    return float(said in wanted), max(_overlap(said, answer) for answer in wanted)


def _overlap(one: str, other: str) -> float:
    """Return the F1 of the words of two answers; of no words it is whether both have none."""
    if not one or not other:
        return float(one == other)
    mine, theirs = one.split(), other.split()
    both = sum((Counter(mine) & Counter(theirs)).values())
    return 2 * both / (len(mine) + len(theirs))


def plain(answer: str) -> str:
    """Return an answer without case, punctuation, articles and surplus blanks."""
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split())


def best_span(starts: NDArray[Any], ends: NDArray[Any]) -> tuple[float, int, int]:
    """Return the score of the best span, its first token and its last.

    `starts` and `ends` are logits that an answer does so at a token: (tokens). Every span of up to
    `LONGEST_ANSWER` tokens is looked at; scripts for SQuAD combine the 20 best starts and ends. The
    score is minus infinity where there are no tokens.
    """
    best = (-np.inf, 0, 0)
    for more in range(min(LONGEST_ANSWER, len(starts))):
        scores = starts[: len(starts) - more] + ends[more:]
        first = int(scores.argmax())
        if scores[first] > best[0]:
            best = (float(scores[first]), first, first + more)
    return best
