"""What training would make of the sentences, before anything is rented. Light."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from worker.families import balance
from worker.families.balance import counted, few_steps, plan, uneven
from worker.families.balance import rows as rows_that
from worker.families.tags import OUTSIDE, begins_inside, entities
from worker.families.text.divided import divided, not_validated, unusable
from worker.families.text.lengths import findings as about_lengths
from worker.families.text.lengths import lengths, shortened
from worker.rendered import Part, Rendered, rendered
from worker.splits import Splits
from worker.task import DataReport, Finding, ModelFacts
from worker.tasks.token_classification.params import TokenParams
from worker.tasks.token_classification.rows import (
    Sentence,
    Sentences,
    both,
    scheme,
    tags_of,
)


def inspect(params: TokenParams, splits: Splits, facts: ModelFacts, tokenizer: Any) -> DataReport:
    """Return what training would make of the data. Raises `BadData` where a column is not there.

    `splits` may hold only the first rows of each split: counts are then scaled up to `total`.
    """
    found, valid = both(splits, params)
    learned, judged = divided(found.found, valid.found if valid else None, params, params.seed)
    whole = params.taken(splits["train"].total)
    scale = max(1.0, whole / found.read) if found.read else 1.0
    rows = round(len(learned) * scale)
    steps = params.steps(max(1, rows))
    marks = scheme(found.found)
    long = lengths([one.text for one in learned], tokenizer, params, facts.config)
    findings = [
        _size(found, valid, params, scale, marks),
        *_nothing_to_learn(found),
        *_left_out(found),
        *(_left_out(valid) if valid else ()),
        *_broken_entities([found, *([valid] if valid else [])], marks),
        *uneven(_kinds(found.found, marks), _unit(marks), scale),
        *(_validated(found, valid) if valid else not_validated(params)),
        *_numbers(found, valid),
        *about_lengths(long, params, "sentence"),
        *(shortened(params, facts.config, facts.name) if facts.known else ()),
        plan(rows, steps, params, "sentences"),
        *few_steps(steps, params),
    ]
    return DataReport(
        findings=tuple(findings),
        rows=rows,
        valid_rows=len(judged) if valid else round(len(judged) * scale),
        units=rows,
        longest=long.longest if scale == 1 and long.exact else 0,
        tokens=round(long.total * scale),
        steps=steps,
        example=_example(found),
    )


def _kinds(sentences: Iterable[Sentence], marks: str) -> Counter[str]:
    """Return how often each kind of entity is there, or with plain tags each tag."""
    if marks == "plain":
        return Counter(tag for one in sentences for tag in one.said if tag != OUTSIDE)
    return Counter(entity.kind for one in sentences for entity in entities(one.said))


def _unit(marks: str) -> str:
    return "words" if marks == "plain" else "entities"


def _size(
    found: Sentences, valid: Sentences | None, params: TokenParams, scale: float, marks: str
) -> Finding:
    """How many sentences there are, what is marked in them and how, and what is held out."""
    about = "" if scale == 1 else "about "
    kinds = _kinds(found.found, marks)
    words = sum(len(one.words) for one in found.found)
    told = "plain tags" if marks == "plain" else f"{marks} tags"
    sizes = f"{round(len(found.found) * scale):,} sentences of {round(words * scale):,} words"
    said = [found.source, f"{about}{sizes}", f"{told}: {counted(kinds, scale)}"]
    if valid is not None:
        said.append(f"{len(valid.found):,} for validation from {valid.source}")
    elif params.valid_share is not None:
        said.append(f"{params.valid_share:.0%} of the sentences held out for validation")
    return Finding("ok", "data", " · ".join(said))


def _nothing_to_learn(found: Sentences) -> Iterator[Finding]:
    if not found.found:
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
        broken = [one.row for one in found.found if begins_inside(one.said)]
        if broken:
            what = rows_that(broken, "in which an entity begins with I- or E-, and not with B-")
            text = f"{found.source}: {what}. Each counts as an entity all the same"
            yield Finding("warn", "data", text, "mend them where that is a mistake")


def _validated(found: Sentences, valid: Sentences) -> Iterator[Finding]:
    """Tags that only one of the splits has. Those without an example are never learned."""
    known = tags_of(found, valid) if found.declared else found.counts
    said = balance.validated(known, valid.counts, valid.source, "sentence", whole=False)
    yield from (one for one in said if not found.declared or "no sentence of" not in one.text)


def _numbers(found: Sentences, valid: Sentences | None) -> Iterator[Finding]:
    """Tags that are numbers without names."""
    known = tags_of(found, valid)
    if not found.declared and known and all(tag.isdecimal() for tag in known):
        text = (
            f"the tags of {found.source} are numbers, and nothing says what they stand for: "
            "answers will be numbers"
        )
        yield Finding("warn", "data", text, "write names, or declare them (ClassLabel)")


def _example(found: Sentences) -> Rendered | None:
    """Return the first sentence, what is learned of it marked."""
    if not found.found:
        return None
    one, shown = found.found[0], []
    for word, tag in zip(one.words, one.tags, strict=True):
        shown.append(Part(f"{word} "))
        if tag not in {None, OUTSIDE}:
            shown.append(Part(f"{tag}", learned=True))
            shown.append(Part(" "))
    return rendered(f"row {one.row} of {found.source}", shown)
