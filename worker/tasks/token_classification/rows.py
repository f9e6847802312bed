"""What a row says: the words of a sentence and their tags. Light."""

from __future__ import annotations

import io
import re
import token
import tokenize
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

from worker.columns import no_column
from worker.errors import BadData
from worker.families import tags
from worker.families.corpus import Corpus, Found, FromRow, divided
from worker.families.labels import Labels, listed
from worker.splits import Row, Split, Splits, in_order, missing

if TYPE_CHECKING:
    from worker.tasks.token_classification.params import TokenParams


@dataclass(frozen=True, slots=True)
class Sentence(FromRow):
    """Words and their tags; a word without a tag is read and not judged."""

    words: tuple[str, ...]
    tags: tuple[str | None, ...]

    @property
    def text(self) -> str:
        """The words as running text, which is how the model reads them."""
        return " ".join(self.words)

    @property
    def said(self) -> list[str]:
        """The tags that there are."""
        return [tag for tag in self.tags if tag is not None]


@dataclass(slots=True, kw_only=True)
class Sentences(Found[Sentence]):
    """The sentences of a split, and the numbers of the rows that are none: of those `empty` there
    are no words."""

    declared: tuple[str, ...]
    """The tags that the data declare, in the order of their numbers."""

    broken: list[int] = field(default_factory=list)
    """A cell is no list."""

    uneven: list[int] = field(default_factory=list)
    """There are more words than tags, or fewer."""

    unknown: list[int] = field(default_factory=list)
    """A tag is none of those that are declared, or no tag at all."""

    @property
    def unusable(self) -> list[int]:
        """All rows that cannot be learned from because something is wrong with them."""
        return sorted([*self.broken, *self.uneven, *self.unknown])

    @property
    def counts(self) -> Counter[str]:
        """How many words have each tag."""
        return Counter(tag for one in self.examples for tag in one.said)


Tagged: TypeAlias = Corpus[Sentences, Sentence]
"""The sentences of a job, and their tags."""


def gathered(splits: Splits, params: TokenParams) -> Tagged:
    """Return the sentences to learn from and those to judge by. Raises `BadData`."""
    return divided(splits, params, partial(read, params))


def read(params: TokenParams, split: Split, rows: Iterable[tuple[int, Row]]) -> Sentences:
    """Return the sentences in `rows` of `split`. Raises `BadData` where a column is not there."""
    for name, flag in _columns(params):
        if name not in split.columns:
            raise no_column(name, split.columns, split.source, flag)
    labels = Labels.of(split, params.tags_column, "--tags-column")
    found = Sentences(split.source, declared=labels.declared)
    for number, row in rows:
        found.read += 1
        words, marks = (row.get(name) for name, _ in _columns(params))
        _add(found, number, words, marks, labels)
    return found


def _columns(params: TokenParams) -> tuple[tuple[str, str], tuple[str, str]]:
    return (params.tokens_column, "--tokens-column"), (params.tags_column, "--tags-column")


def _add(found: Sentences, number: int, words: Any, marks: Any, labels: Labels) -> None:
    """Add a row to the sentences, or its number to what is wrong with it."""
    if missing(words) and missing(marks):
        found.empty.append(number)
        return
    listed_words, listed_tags = _list(words), _list(marks)
    if listed_words is None or listed_tags is None:
        found.broken.append(number)
    elif len(listed_words) != len(listed_tags):
        found.uneven.append(number)
    elif not any(said := [_word(word) for word in listed_words]):
        found.empty.append(number)
    else:
        try:
            named = tuple(labels.class_of(tag, number) for tag in listed_tags)
        except BadData:
            found.unknown.append(number)
        else:
            found.examples.append(Sentence(number, tuple(said), named))


_TWO_STRINGS = re.compile(r"['\"]\s+['\"]")


def _list(cell: Any) -> list[Any] | None:
    """Return the list that a cell holds, or its text is; none where it is no list."""
    if isinstance(cell, str):
        if _TWO_STRINGS.search(cell) and _joins_strings(cell):
            return None
        cell = listed(cell)
    return list(cell) if isinstance(cell, list | tuple) else None


def _joins_strings(text: str) -> bool:
    """Whether a list was written without commas, as numpy does: Python would join its words."""
    try:
        read = [t.type for t in tokenize.generate_tokens(io.StringIO(text).readline)]
    except (tokenize.TokenError, SyntaxError):
        return False
    kinds = [kind for kind in read if kind not in {token.NL, token.NEWLINE}]
    return (token.STRING, token.STRING) in pairwise(kinds)


def _word(word: Any) -> str:
    return "" if word is None else str(word).strip()


def tags_of(corpus: Tagged) -> tuple[str, ...]:
    """Return all tags: those declared, or else those of both splits, as people order them.

    A tag that only validation has gets a number too, as in AutoTrain: with the schemes of entities
    it is often the rare I- of one whose B- is learned. Each B- has its I-, which the rest of a long
    word is learned as.
    """
    if declared := corpus.train.declared:
        return declared
    there = {tag for split in corpus.splits for tag in split.counts}
    return in_order(there | {tags.continued(tag) for tag in there})


def learnable(corpus: Tagged) -> Tagged:
    """Return the sentences. Raises `BadData` where there is nothing to learn, as the check does."""
    if len(corpus.train.counts) < 2:  # noqa: PLR2004
        raise BadData(
            f"{corpus.train.source} has no words with two different tags: nothing to learn."
        )
    return corpus


def scheme(sentences: Sequence[Sentence]) -> str:
    """Return how entities are marked: `IOB1`, `IOB2`, `BIOES`, or `plain` tags."""
    seen = {tags.split(tag)[0] for one in sentences for tag in one.said}
    if not seen & {"B", "I", "E", "S"}:
        return "plain"
    if seen & {"E", "S"}:
        return "BIOES"
    return "IOB2" if any(tags.begins_apart(one.said) for one in sentences) else "IOB1"
