"""Asks a trained model for the entities of texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from transformers import pipeline

from worker.engine.source import loading
from worker.exchange import Answering
from worker.families.tags import split
from worker.families.text.shape import ENDLESS, positions
from worker.paths import ref_of
from worker.tasks.token_classification.params import Question

SHARED = 4
"""Part of what the model sees, one in so many, that pieces of a longer text have in common."""


def answering(model: str, question: Question, together: int) -> Answering:
    """Return the model, which answers a text with its entities in their order.

    They are `{"entity_group": …, "score": …, "word": …, "start": …, "end": …}`, their places those
    of characters. A text that is longer than the model sees is read in pieces that overlap.
    """
    ref, code = ref_of(model), question.trust_remote_code
    with loading(ref.name):
        tag = pipeline(
            "token-classification",
            model=ref.name,
            revision=ref.revision,
            trust_remote_code=code,
            aggregation_strategy="simple",
            batch_size=together,
        )
    sees = min(tag.tokenizer.model_max_length, positions(tag.model.config.to_dict()))
    tag.tokenizer.model_max_length = sees
    pieces = {"stride": sees // SHARED} if sees < ENDLESS else {}

    def answered(questions: Sequence[Question]) -> Iterator[Any]:
        texts = [one.text for one in questions]
        for text, found in zip(texts, tag(texts, **pieces), strict=True):
            yield [_told(one, text) for one in _joined(found, text)]

    return answered


def _joined(groups: Iterable[Mapping[str, Any]], text: str) -> Iterator[dict[str, Any]]:
    """Yield the entities of neighbouring groups; the pipeline knows of no marks but B- and I-."""
    last: dict[str, Any] | None = None
    for group in groups:
        mark, kind = split(str(group["entity_group"]))
        if last is not None:
            between = text[last["end"] : group["start"]]
            if mark == "E" and last["entity_group"] == kind and not between.strip():
                last |= {"end": group["end"], "score": min(last["score"], group["score"])}
                continue
            yield last
        last = {**group, "entity_group": kind}
    if last is not None:
        yield last


def _told(entity: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Return an entity without the blank that byte-level tokens have before a word."""
    start, end = int(entity["start"]), int(entity["end"])
    start += len(text[start:end]) - len(text[start:end].lstrip())
    return {
        "entity_group": entity["entity_group"],
        "score": float(entity["score"]),
        "word": text[start:end],
        "start": start,
        "end": end,
    }
