"""What training would make of the questions, before anything is rented. Light."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from worker.bars import Bars, by_class, by_length
from worker.families.balance import few_steps, plan
from worker.families.balance import rows as rows_that
from worker.families.corpus import Corpus
from worker.families.divided import how_many, not_validated, size
from worker.families.text.lengths import CHARACTERS_A_TOKEN, shortened
from worker.families.text.report import unusable
from worker.rendered import Part, Rendered, rendered
from worker.splits import Splits
from worker.task import DataReport, Finding, ModelFacts
from worker.tasks.extractive_qa.params import QaParams
from worker.tasks.extractive_qa.rows import Asked, Questions, gathered
from worker.tasks.extractive_qa.windows import Windows

SPECIAL = 3
"""Special tokens of a question and its context, where the model has no `tokenizer.json`."""


def inspect(params: QaParams, splits: Splits, facts: ModelFacts, tokenizer: Any) -> DataReport:
    """Return what training would make of the data. Raises `BadData` where a column is not there.

    `splits` may hold only the first rows of each split: counts are then scaled up to `total`.
    """
    corpus = gathered(splits, params)
    found, scale = corpus.train, corpus.scale
    sizes = _sizes(corpus.learned, tokenizer, params, facts)
    rows = round(sizes.count * scale)
    steps = params.steps(max(1, rows))
    findings = [
        _size(corpus, params, scale),
        *_nothing_to_learn(found),
        *(finding for split in corpus.splits for finding in _left_out(split)),
        *not_validated(corpus, params, "how often the model is right", "question"),
        *_kinds_of_questions(found, corpus.valid),
        *_lengths(sizes, params),
        *(shortened(params, facts.config, facts.name) if facts.known else ()),
        plan(rows, steps, params, "windows"),
        *few_steps(steps, params),
    ]
    judging = len(corpus.held) / max(1, len(corpus.learned))
    return DataReport(
        findings=tuple(findings),
        rows=rows,
        valid_rows=round(len(corpus.held) * sizes.each if corpus.valid else rows * judging),
        units=rows,
        longest=sizes.longest if scale == 1 else 0,
        tokens=round(sizes.tokens * scale),
        steps=steps,
        example=_example(found),
        bars=_bars(found, sizes, scale),
    )


def _bars(found: Questions, sizes: Sizes, scale: float) -> tuple[Bars, ...]:
    """Return how many questions have answers, and how long the contexts are."""
    answered = len(found.examples) - found.unanswerable
    kinds = {"with an answer": answered, "without one": found.unanswerable}
    return (
        by_class("Questions by answer", {k: n for k, n in kinds.items() if n}, scale),
        by_length("Questions with contexts by tokens", sizes.wholes, scale),
    )


@dataclass(frozen=True, slots=True)
class Sizes:
    """The windows of the questions that are learned."""

    windows: Windows
    questions: int
    count: int
    """Windows of all questions."""

    long: int
    """Questions whose context takes more than one."""

    cut: int
    """Questions that are longer than what is read of one."""

    tokens: int
    """Tokens of all windows."""

    longest: int
    """Tokens of the longest window."""

    wholes: Sequence[int] = ()
    """Tokens of each question with its context."""

    @property
    def each(self) -> float:
        """Windows of a question, on average."""
        return self.count / self.questions if self.questions else 1.0


def _sizes(asked: Sequence[Asked], tokenizer: Any, params: QaParams, facts: ModelFacts) -> Sizes:
    special = tokenizer.num_special_tokens_to_add(True) if tokenizer else SPECIAL
    windows = Windows.of(params.seen(facts.config), special, params.max_doc_stride)
    questions = _tokens([one.question for one in asked], tokenizer)
    contexts = _tokens([one.context for one in asked], tokenizer)
    pairs = list(zip(questions, contexts, strict=True))
    counts = [windows.count(*pair) for pair in pairs]
    wholes = [special + min(q, windows.question) + c for q, c in pairs]
    again = sum((count - 1) * (windows.overlap + special) for count in counts)
    return Sizes(
        windows,
        questions=len(asked),
        count=sum(counts),
        long=sum(count > 1 for count in counts),
        cut=sum(question > windows.question for question in questions),
        tokens=sum(wholes) + again,
        longest=min(windows.length, max(wholes, default=0)),
        wholes=wholes,
    )


def _tokens(texts: Sequence[str], tokenizer: Any) -> list[int]:
    """Return how many tokens texts have, without special ones."""
    if tokenizer is None:
        return [1 + len(text) // CHARACTERS_A_TOKEN for text in texts]
    tokenizer.no_truncation()
    tokenizer.no_padding()
    different = list(dict.fromkeys(texts))  # many questions are to one context
    found = tokenizer.encode_batch(different, add_special_tokens=False)
    known = {text: len(one.ids) for text, one in zip(different, found, strict=True)}
    return [known[text] for text in texts]


def _size(corpus: Corpus[Questions, Asked], params: QaParams, scale: float) -> Finding:
    """How many questions there are, how many without an answer, and what is held out."""
    found, about = corpus.train, "" if scale == 1 else "about "
    asked = how_many(corpus, "questions")
    if none := round(found.unanswerable * scale):
        asked += f", {about}{none:,} of them without an answer"
    contexts = len({one.context for one in found.examples})
    different = f"{about}{round(contexts * scale):,} different contexts"
    return size(corpus, params, asked, different, of="of the questions")


def _nothing_to_learn(found: Questions) -> Iterator[Finding]:
    if found.unanswerable < len(found.examples):
        return
    text = f"no question of {found.source} has an answer that is in its context"
    yield Finding("error", "data", text, "--answer-column, or --text-column with the contexts")


def _left_out(found: Questions) -> Iterator[Finding]:
    """Rows that are no examples or that were mended, all of them at once."""
    level, after = unusable(len(found.broken) + len(found.absent), found.read)
    if found.empty:
        what = rows_that(found.empty, "without a question, a context or a word about answers")
        fix = 'a question without an answer has {"text": [], "answer_start": []}'
        yield Finding("warn", "data", f"{found.source}: {what}: left out", fix)
    if found.broken:
        what = rows_that(found.broken, "whose answers cannot be read")
        fix = 'write {"text": ["Ulm"], "answer_start": [13]}'
        yield Finding(level, "data", f"{found.source}: {what}{after}", fix)
    if found.absent:
        what = rows_that(found.absent, "whose answer is not in the context")
        fix = "an answer is a piece of its context, letter by letter"
        yield Finding(level, "data", f"{found.source}: {what}{after}", fix)
    if found.moved:
        what = rows_that(found.moved, "whose answer is not at its answer_start")
        text = f"{found.source}: {what}: taken from where its text is nearest"
        yield Finding("warn", "data", text, "count characters from 0, and not bytes")


def _kinds_of_questions(found: Questions, valid: Questions | None) -> Iterator[Finding]:
    """Questions without an answer in one of the splits alone."""
    if valid is None or bool(found.unanswerable) == bool(valid.unanswerable):
        return
    if valid.unanswerable:
        text = (
            f"{valid.source} has questions without an answer and {found.source} has none: "
            "the model does not learn to say nothing"
        )
        yield Finding("warn", "data", text, "give some to learn from, or take them out")
    else:
        text = (
            f"{valid.source} has only questions with an answer: nobody will know "
            "how often the model rightly says nothing"
        )
        yield Finding("warn", "data", text)


def _lengths(sizes: Sizes, params: QaParams) -> Iterator[Finding]:
    """How many contexts are longer than the model sees, and what is done about it."""
    windows = sizes.windows
    text = f"tokens: {sizes.tokens / max(1, sizes.count):,.0f} a window on average"
    if sizes.long:
        text += (
            f" · {sizes.long:,} contexts are longer than the {windows.length:,} that the model "
            f"sees, and are read in windows that share {windows.overlap:,}"
        )
    yield Finding("ok", "data", text)
    if sizes.long and windows.overlap < params.max_doc_stride:
        text = (
            f"windows of {windows.length:,} tokens cannot share {params.max_doc_stride:,}: "
            f"none would get on behind a question, so they share {windows.overlap:,}"
        )
        fix = f"--max-doc-stride {windows.overlap}, or a larger --max-seq-length"
        yield Finding("warn", "data", text, fix)
    if sizes.cut:
        text = (
            f"{sizes.cut:,} questions are longer than {windows.question} tokens and are cut there"
        )
        yield Finding("warn", "data", text, "ask them more shortly")


def _example(found: Questions) -> Rendered | None:
    """Return the first question with its context, the answer marked."""
    one = next((one for one in found.examples if one.answer), None)
    if one is None or one.answer is None:
        return None
    before, after = one.context[: one.answer.start], one.context[one.answer.end :]
    shown = [Part(f"{one.question}\n{before}"), Part(one.answer.text, learned=True), Part(after)]
    return rendered(f"row {one.row} of {found.source}", shown)
