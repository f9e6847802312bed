"""What training would make of images and what is said of them, before anything is rented. Light."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from worker.bars import by_length
from worker.families.divided import how_many, not_validated, size
from worker.families.pictures.corpus import PictureCorpus, gathered
from worker.families.pictures.examples import Example, Examples
from worker.families.pictures.findings import left_out, pixels
from worker.families.pictures.report import report
from worker.families.text.lengths import CHARACTERS_A_TOKEN
from worker.families.text.shape import positions
from worker.rendered import Part, Rendered, rendered
from worker.splits import Splits
from worker.task import DataReport, Finding, ModelFacts
from worker.tasks.vlm.examples import Said, read
from worker.tasks.vlm.lengths import Size, image_tokens
from worker.tasks.vlm.params import VlmParams
from worker.tasks.vlm.speech import Speech, Wording

LOOKED_AT = 2000
"""Examples whose words are counted; the others are taken to be like them."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Tokens of the first examples: of the image, of the question, of the answer with its end."""

    images: Sequence[int]
    asked: Sequence[int]
    answers: Sequence[int]

    @property
    def lengths(self) -> list[int]:
        """Tokens of each example."""
        return [sum(each) for each in zip(self.images, self.asked, self.answers, strict=True)]


def inspect(params: VlmParams, splits: Splits, facts: ModelFacts, tokenizer: Any) -> DataReport:
    """Return what training would make of the data. Raises `BadData`, `BadConfig`.

    `splits` may hold only the first rows of each split: counts are then scaled up to `total`.
    """
    wording = Wording.of(params, str(facts.config.get("model_type") or ""))
    corpus = gathered(splits, params, partial(read, wording=wording))
    found, valid, learned = corpus.train, corpus.valid, corpus.learned
    speech = Speech.of(facts, tokenizer)
    counts = counted(learned[:LOOKED_AT], found, facts, speech, tokenizer) if facts.known else None
    lengths = counts.lengths if counts else []
    most = room(params, facts)
    seen = [min(length, most) for length in lengths]
    about = [
        _size(corpus, params),
        *_nothing_to_learn(found),
        *left_out(found, "a text"),
        *(left_out(valid, "a text") if valid else ()),
        *(_lengths(counts, most, exact=tokenizer is not None) if counts and lengths else ()),
        *(_images_alone(counts, most) if counts else ()),
        *_alike(found),
        *(() if valid else not_validated(corpus, params, "how well the model does", "example")),
    ]
    whole = corpus.scale == 1 and len(learned) <= LOOKED_AT
    return replace(
        report(corpus, params, about, "examples"),
        units=round(sum(seen) / max(1, len(seen)) * corpus.rows),
        largest=max(seen, default=0) if whole else 0,
        example=shown(learned[0], found.source, speech) if learned and facts.known else None,
        bars=(by_length("Examples by tokens", lengths, corpus.rows / max(1, len(lengths))),),
    )


def room(params: VlmParams, facts: ModelFacts) -> int:
    """Return the tokens of the longest example that is trained on."""
    return min(params.model_max_length or positions(facts.config), positions(facts.config))


def counted(
    examples: Sequence[Example[Any, Said]],
    found: Examples[Any, Said],
    facts: ModelFacts,
    speech: Speech,
    tokenizer: Any,
) -> Counts:
    """Return the tokens of examples, of images as large as those that were `found`."""
    sizes: Sequence[Size | None] = found.sizes or [None]
    images = [
        image_tokens(facts.config, facts.processor, sizes[i % len(sizes)])
        for i in range(len(examples))
    ]
    asked = [speech.prompt(example.label.question) for example in examples]
    answers = [speech.answer(e.label.question, e.label.answer) for e in examples]
    return Counts(images, _tokens(asked, tokenizer), _tokens(answers, tokenizer))


def _tokens(texts: Sequence[str], tokenizer: Any) -> list[int]:
    if tokenizer is None:
        return [max(1, len(text) // CHARACTERS_A_TOKEN) for text in texts]
    found = tokenizer.encode_batch(list(texts), add_special_tokens=False)
    return [len(encoding.ids) for encoding in found]


def _size(corpus: PictureCorpus[Examples[Any, Said]], params: VlmParams) -> Finding:
    what = "questions and answers" if params.asks else "captions"
    return size(corpus, params, how_many(corpus, f"images with {what}"), *pixels(corpus.train))


def _nothing_to_learn(found: Examples[Any, Said]) -> Iterable[Finding]:
    if not found.examples:
        text = f"no row of {found.source} has an image and a text"
        yield Finding("error", "data", text, fix="--image-column and --text-column")


def _lengths(counts: Counts, most: int, *, exact: bool) -> Iterable[Finding]:
    """How many tokens examples have, how many of them their images, and which are cut."""
    ordered, images = sorted(counts.lengths), sorted(counts.images)
    text = f"tokens an example: median {ordered[len(ordered) // 2]:,}, longest {ordered[-1]:,}"
    text += "" if exact else ", words estimated from characters"
    answer = sum(counts.answers) / len(ordered)
    text += f" · {images[len(images) // 2]:,} are the image, {answer:.0f} the answer and learned"
    yield Finding("ok", "data", text)
    if cut := sum(length > most for length in ordered):
        said = f"{cut:,} answer{'s are' if cut != 1 else ' is'} cut: the model is shown {most:,}"
        yield Finding("warn", "data", f"{said} tokens of an example at most")


def _images_alone(counts: Counts, most: int) -> Iterable[Finding]:
    """Examples of which not even the question fits."""
    given = [a + b for a, b in zip(counts.images, counts.asked, strict=True)]
    if over := sum(length >= most for length in given):
        few = f"{over:,} of {len(given):,} images leave no room for an answer in {most:,} tokens"
        yield Finding(
            "error" if over == len(given) else "warn",
            "data",
            f"{few}: of such answers one token is learned",
            f"--model-max-length {max(given) + max(counts.answers)}, or smaller images",
        )


def _alike(found: Examples[Any, Said]) -> Iterable[Finding]:
    """One answer to everything."""
    answers = {example.label.answer for example in found.examples}
    if len(answers) == 1 and len(found.examples) > 1:
        text = f'every row says the same, "{next(iter(answers))[:40]}": there is nothing to learn'
        yield Finding("warn", "data", text, fix="--text-column with the column of the answers")


def shown(example: Example[Any, Said], source: str, speech: Speech) -> Rendered:
    """Return an example as the model gets it, its image as the mark that stands for it."""
    said = example.label
    parts = (
        Part(speech.prompt(said.question)),
        Part(speech.answer(said.question, said.answer), learned=True),
    )
    return rendered(f"row {example.row} of {source}", parts, "the image stands where its mark is")
