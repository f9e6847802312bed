"""What is learned of pairs of answers; the same for preflight and training.

`read` turns rows into two examples each, `encoded` turns those into tokens, cut to what is trained
on. It does not know what a trainer makes of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from worker.errors import BadData
from worker.splits import Row, Split
from worker.tasks.llm.data import Examples, Speech, example_of, with_fullest
from worker.tasks.llm.pairs.params import Lengths, Pairs
from worker.tasks.llm.pairs.rows import NothingToCompare, layout_of
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.tokens import Tokenizer, Tokens, encode

Lines = defaultdict[str, list[int]]
"""To what is wrong with rows, their numbers."""


@dataclass(slots=True)
class PairExamples:
    """The usable pairs of a split, and what was noticed on the way."""

    chosen: Examples
    """With all that is counted of rows."""

    rejected: Examples
    left_out: Lines = field(default_factory=lambda: defaultdict(list))
    """Rows that are in order and show no preference."""

    def refuse(self) -> None:
        """Raise `BadData` that names all broken rows, if there are any."""
        self.chosen.broken.refuse(self.chosen.layout.source)


@dataclass(frozen=True, slots=True)
class Limits:
    """How many tokens are trained on, at most."""

    row: int
    """Of a prompt with its answer."""

    prompt: int | None = None
    """Of a prompt: its last ones."""

    completion: int | None = None
    """Of an answer: its first ones."""

    whole: bool = False
    """Whether answers are kept to their very end, and the beginning goes of what is too long."""

    @property
    def apart(self) -> Limits:
        """The limits of prompt and answer alone."""
        return replace(self, row=1 << 40)


def limits_of(params: LlmParams, own: Pairs) -> Limits:
    """Return how much of prompts and answers is trained on."""
    if not isinstance(own, Lengths):
        return Limits(params.row_tokens, whole=own.whole)
    return Limits(params.row_tokens, own.max_prompt_length, own.max_completion_length)


@dataclass(frozen=True, slots=True)
class PairTokens:
    """Two answers in tokens, each behind the prompt."""

    chosen: Tokens
    rejected: Tokens
    good: bool = True
    """Whether the first is a good one: false only where each answer has a label of its own."""

    def __len__(self) -> int:
        return len(self.chosen) + len(self.rejected)


def read(
    split: Split, params: LlmParams, own: Pairs, speech: Speech, rows: Iterable[tuple[int, Row]]
) -> PairExamples:
    """Return the pairs in `rows` of `split`, and which rows are broken.

    Raises `BadData` where a column is not there, and `BadConfig` where there is no chat template.
    """
    first, numbered = with_fullest(rows)
    layout = layout_of(split.columns, first, params, own, split.source)
    found = PairExamples(Examples(layout), Examples(layout))
    seen: set[int] = set()
    for line, row in numbered:
        found.chosen.read += 1
        try:
            pair = layout.pair(row, line)
            if pair is None:
                found.chosen.empty.append(line)
                continue
            chosen = example_of(pair.chosen, line, found.chosen, params, speech)
            rejected = example_of(pair.rejected, line, found.rejected, params, speech)
        except NothingToCompare as error:
            found.left_out[str(error)].append(line)
            found.chosen.read -= 1  # it is no pair
        except BadData as error:
            found.chosen.broken.add(line, error)
        else:
            key = hash((chosen.text, rejected.text))
            found.chosen.duplicates += key in seen
            seen.add(key)
            found.chosen.lines.append(line)
            found.chosen.examples.append(chosen)
            found.rejected.examples.append(rejected)
    return found


def encoded(
    pairs: PairExamples, tokenizer: Tokenizer, eos: int | None
) -> Iterator[tuple[Tokens, Tokens]]:
    """Yield each pair in tokens, in order, uncut. `eos` is the id of the token that ends a text."""
    sides = (encode(side.examples, tokenizer, eos) for side in (pairs.chosen, pairs.rejected))
    yield from zip(*sides, strict=True)


def fitted(chosen: Tokens, rejected: Tokens, limits: Limits) -> PairTokens | None:
    """Return a pair as it is trained on; none where it shows no difference within `limits`."""
    better, worse = within(chosen, limits), within(rejected, limits)
    if better is None or worse is None or better.ids == worse.ids:
        return None
    return PairTokens(better, worse)


def within(tokens: Tokens, limits: Limits) -> Tokens | None:
    """Return an answer and its prompt, cut, and without what follows the last learned token.

    None where nothing of the answer is left. Of a prompt that is too long the end is kept, of an
    answer the beginning.
    """
    if limits.whole:
        return _end_of(tokens, limits.row)
    answer = tokens.learned.find(1)
    start = max(0, answer - limits.prompt) if limits.prompt else 0
    end = min(start + limits.row, len(tokens))
    if limits.completion:
        end = min(end, answer + limits.completion)
    last = tokens.learned.rfind(1, 0, end)
    return tokens.cut(start, last + 1) if 0 <= answer <= last else None


def _end_of(tokens: Tokens, most: int) -> Tokens:
    """Return the last tokens, behind the first: some models read all of a text from that."""
    if len(tokens) <= most:
        return tokens
    return tokens.cut(0, 1).then(tokens.cut(len(tokens) - most + 1, len(tokens)))
