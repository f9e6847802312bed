"""Questions as the model reads them, in windows, and its answers as people read them.

A question comes first and a window of its context behind it. In a window that does not hold the
whole answer, and where there is none, the token that stands for the beginning is the answer, as in
BERT's script for SQuAD (Devlin et al. 2018).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.families.text.training.batches import TOKENIZED, Tokens
from worker.families.training.answers import best_span
from worker.tasks.extractive_qa.rows import Answer, Asked
from worker.tasks.extractive_qa.windows import Windows


@dataclass(frozen=True, slots=True)
class Window:
    """What the model sees at once."""

    asked: int
    """Place of its question among all."""

    tokens: Tokens
    nothing: int
    """Token that says that there is no answer here."""

    first: int
    """First token of the context; the others follow."""

    places: NDArray[np.int32]
    """(tokens of the context, 2): where in the context each begins and ends."""

    def labelled(self, answer: Answer | None) -> Tokens:
        """Return the tokens, and which of them the answer begins and ends with."""
        start, end = self._span(answer) if answer else (self.nothing, self.nothing)
        return {**self.tokens, "start_positions": start, "end_positions": end}

    def _span(self, answer: Answer) -> tuple[int, int]:
        starts, ends = self.places[:, 0], self.places[:, 1]
        if not len(starts) or starts[0] > answer.start or ends[-1] < answer.end:
            return self.nothing, self.nothing
        first = int(np.searchsorted(starts, answer.start, "right")) - 1
        last = int(np.searchsorted(ends, answer.end, "left"))
        return self.first + first, self.first + last


@dataclass(frozen=True, slots=True)
class Found:
    """The best answer in a window, or in all of a question's."""

    score: float
    """Logits of its start and its end, added up."""

    nothing: float
    """The same of there being none."""

    start: int
    """Place in the context, in characters."""

    end: int
    sure: float
    """Probability that the window gives it, among all answers there and none."""

    def beside(self, other: Found) -> Found:
        """Return the better of two; there is no answer only where no window has any."""
        best = max(self, other, key=lambda one: one.score)
        return replace(best, nothing=min(self.nothing, other.nothing))


def windows_of(tokenizer: Any, asked: Sequence[Asked], sizes: Windows) -> Iterator[Window]:
    """Yield the windows of questions and their contexts, in their order."""
    for start in range(0, len(asked), TOKENIZED):
        group = asked[start : start + TOKENIZED]
        told = tokenizer(
            _cut(tokenizer, [one.question for one in group], sizes.question),
            [one.context for one in group],
            truncation="only_second",
            max_length=sizes.length,
            stride=sizes.overlap,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        whose = told.pop("overflow_to_sample_mapping")
        offsets = told.pop("offset_mapping")
        told.pop("attention_mask", None)
        for i, one in enumerate(whose):
            tokens = {name: np.asarray(told[name][i], np.int32) for name in told}
            yield _window(start + one, tokens, offsets[i], told.sequence_ids(i), tokenizer)


def length(window: Window) -> int:
    """Return the tokens of a window."""
    return len(window.tokens["input_ids"])


def _window(
    asked: int, tokens: Tokens, offsets: Any, parts: Sequence[int | None], tokenizer: Any
) -> Window:
    first = parts.index(1) if 1 in parts else len(parts)
    last = len(parts) - parts[::-1].index(1) if 1 in parts else first
    found = np.flatnonzero(tokens["input_ids"] == tokenizer.cls_token_id)
    nothing = int(found[0]) if len(found) else 0
    places = np.asarray(offsets[first:last], np.int32).reshape(-1, 2)
    return Window(asked, tokens, nothing, first, places)


def _cut(tokenizer: Any, questions: list[str], most: int) -> list[str]:
    """Return questions of at most so many tokens."""
    told = tokenizer(questions, add_special_tokens=False, return_offsets_mapping=True)
    return [
        question if len(places) <= most else question[: places[most - 1][1]]
        for question, places in zip(questions, told["offset_mapping"], strict=True)
    ]


def best_answers(
    windows: Sequence[Window], starts: Sequence[NDArray[Any]], ends: Sequence[NDArray[Any]]
) -> dict[int, Found]:
    """Return the best answer to each question, by its place, of all its windows.

    `starts` and `ends` are the logits of (windows, tokens), on the right of which padding may be.
    """
    found: dict[int, Found] = {}
    for window, start, end in zip(windows, starts, ends, strict=True):
        one = _best(window, start, end)
        before = found.get(window.asked)
        found[window.asked] = before.beside(one) if before else one
    return found


def _best(window: Window, starts: NDArray[Any], ends: NDArray[Any]) -> Found:
    context = slice(window.first, window.first + len(window.places))
    nothing = starts[window.nothing], ends[window.nothing]
    score, first, last = best_span(starts[context], ends[context])
    if not len(window.places):
        return Found(score, float(sum(nothing)), 0, 0, 0.0)
    whole = [
        _log_sum([*side[context], none]) for side, none in zip((starts, ends), nothing, strict=True)
    ]
    sure = float(np.exp(score - sum(whole)))
    place = int(window.places[first, 0]), int(window.places[last, 1])
    return Found(score, float(sum(nothing)), *place, sure)


def _log_sum(logits: Sequence[Any]) -> float:
    """Return the logarithm of the sum of exponentials."""
    most = float(max(logits))
    return most + float(np.log(np.exp(np.asarray(logits, np.float64) - most).sum()))
