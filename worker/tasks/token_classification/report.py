"""What training would make of the sentences, before anything is rented. Light."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from worker.bars import by_class, by_length
from worker.families import balance
from worker.families.balance import counted, doubtful, few_steps, plan
from worker.families.balance import rows as rows_that
from worker.families.divided import how_many, not_validated, size
from worker.families.tags import OUTSIDE, begins_inside, entities
from worker.families.text.lengths import findings as about_lengths
from worker.families.text.lengths import lengths, shortened
from worker.families.text.report import unusable
from worker.rendered import Part, Rendered, rendered
from worker.splits import Splits
from worker.task import DataReport, Finding, ModelFacts
from worker.tasks.token_classification.params import TokenParams
from worker.tasks.token_classification.rows import (
    Sentence,
    Sentences,
    Tagged,
    gathered,
    scheme,
    tags_of,
)


def inspect(params: TokenParams, splits: Splits, facts: ModelFacts, tokenizer: Any) -> DataReport:
    """Return what training would make of the data. Raises `BadData` where a column is not there.

    `splits` may hold only the first rows of each split: counts are then scaled up to `total`.
    """
    corpus = gathered(splits, params)
    found, scale = corpus.train, corpus.scale
    rows = corpus.rows
    steps = params.steps(max(1, rows))
    marks = scheme(found.examples)
    kinds = _kinds(found.examples, marks)
    long = lengths([one.text for one in corpus.learned], tokenizer, params, facts.config)
    findings = [
        _size(corpus, params, scale, marks),
        *_nothing_to_learn(found),
        *(finding for split in corpus.splits for finding in _left_out(split)),
        *_broken_entities(corpus.splits, marks),
        *doubtful(kinds, _unit(marks), scale),
        *_validated(corpus),
        *not_validated(corpus, params, "how often the model is right", "sentence"),
        *_numbers(corpus),
        *about_lengths(long, params, "sentence"),
        *(shortened(params, facts.config, facts.name) if facts.known else ()),
        plan(rows, steps, params, "sentences"),
        *few_steps(steps, params),
    ]
    return DataReport(
        findings=tuple(findings),
        rows=rows,
        valid_rows=corpus.valid_rows,
        units=rows,
        longest=long.longest if scale == 1 and long.exact else 0,
        tokens=round(long.total * scale),
        steps=steps,
        example=_example(found),
        bars=(
            by_class(f"{_unit(marks).capitalize()} by kind", kinds, scale),
            by_length("Sentences by tokens", long.counts, scale),
        ),
    )


def _kinds(sentences: Iterable[Sentence], marks: str) -> Counter[str]:
    """Return how often each kind of entity is there, or with plain tags each tag."""
    if marks == "plain":
        return Counter(tag for one in sentences for tag in one.said if tag != OUTSIDE)
    return Counter(entity.kind for one in sentences for entity in entities(one.said))


def _unit(marks: str) -> str:
    return "words" if marks == "plain" else "entities"


def _size(corpus: Tagged, params: TokenParams, scale: float, marks: str) -> Finding:
    """How many sentences there are, what is marked in them and how, and what is held out."""
    found = corpus.train.examples
    words = sum(len(one.words) for one in found)
    sizes = f"{how_many(corpus, 'sentences')} of {round(words * scale):,} words"
    told = f"{marks} tags: {counted(_kinds(found, marks), scale)}"
    return size(corpus, params, sizes, told, of="of the sentences")


def _nothing_to_learn(found: Sentences) -> Iterator[Finding]:
    if not found.examples:
        text = f"no row of {found.source} has words and as many tags"
        yield Finding("error", "data", text, "--tokens-column and --tags-column")
    elif len(found.counts) == 1:
        (only,) = found.counts
        text = f'all words of {found.source} have the tag "{only}": there is nothing to tell apart'
        yield Finding("error", "data", text, "--tags-column with the column of the tags")


def _left_out(found: Sentences) -> Iterator[Finding]:
    """Rows that are no examples, all of them at once."""
    if found.empty:
        yield Finding("warn", "data", f"{rows_that(found.empty, 'without words')}: left out")
    level, after = unusable(len(found.unusable), found.read)
    told = (
        (found.broken, "whose words or tags are no list", 'write lists, as ["Ann", "lives"]'),
        (found.uneven, "with more words than tags, or fewer", "give each word one tag"),
        (found.unknown, "with a tag that is no tag, or none of those declared", "mend the tags"),
    )
    for numbers, what, fix in told:
        if numbers:
            yield Finding(level, "data", f"{found.source}: {rows_that(numbers, what)}{after}", fix)


def _broken_entities(splits: Sequence[Sentences], marks: str) -> Iterator[Finding]:
    """Entities that begin with a tag that says that one goes on."""
    if marks not in {"IOB2", "BIOES"}:
        return
    for found in splits:
        broken = [one.row for one in found.examples if begins_inside(one.said)]
        if broken:
            what = rows_that(broken, "in which an entity begins with I- or E-, and not with B-")
            text = f"{found.source}: {what}. Each counts as an entity all the same"
            yield Finding("warn", "data", text, "mend them where that is a mistake")


def _validated(corpus: Tagged) -> Iterator[Finding]:
    """Tags that only one of the splits has. Those without an example are never learned."""
    found, valid = corpus.train, corpus.valid
    if valid is None:
        return
    known = found.declared or found.counts
    said = balance.validated(known, valid.counts, valid.source, "sentence", whole=False)
    yield from (one for one in said if not found.declared or "no sentence of" not in one.text)


def _numbers(corpus: Tagged) -> Iterator[Finding]:
    """Tags that are numbers without names."""
    found, known = corpus.train, tags_of(corpus)
    if not found.declared and known and all(tag.isdecimal() for tag in known):
        text = (
            f"the tags of {found.source} are numbers, and nothing says what they stand for: "
            "answers will be numbers"
        )
        yield Finding("warn", "data", text, "write names, or declare them (ClassLabel)")


def _example(found: Sentences) -> Rendered | None:
    """Return the first sentence, what is learned of it marked."""
    if not found.examples:
        return None
    one, shown = found.examples[0], []
    for word, tag in zip(one.words, one.tags, strict=True):
        shown.append(Part(f"{word} "))
        if tag not in {None, OUTSIDE}:
            shown.append(Part(f"{tag}", learned=True))
            shown.append(Part(" "))
    return rendered(f"row {one.row} of {found.source}", shown)
