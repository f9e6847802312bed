"""Asks a trained model for the answers to questions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from transformers import AutoModelForQuestionAnswering

from worker.answers import parts
from worker.engine import devices
from worker.engine.source import Source
from worker.exchange import Answering
from worker.families.text.shape import positions
from worker.families.text.training.batches import Collate, longest_first
from worker.paths import ref_of
from worker.tasks.extractive_qa.params import QaParams, Question
from worker.tasks.extractive_qa.rows import Asked
from worker.tasks.extractive_qa.training.reading import (
    Found,
    Window,
    best_answers,
    length,
    windows_of,
)
from worker.tasks.extractive_qa.training.train import UNANSWERABLE, reader, sizes_for

OVERLAP = QaParams.model_fields["max_doc_stride"].default


def answering(model: str, question: Question, together: int) -> Answering:
    """Return the model, which answers `{"answer": …, "score": …, "start": …, "end": …}`.

    Places are those of characters in the context; the score is a probability. A model that has
    learned from questions without an answer says so with an empty one.
    """
    source = Source(ref_of(model), AutoModelForQuestionAnswering, question.trust_remote_code)
    tokenizer = reader(source)
    network = source.load().to(devices.device()).eval()
    sees = min(tokenizer.model_max_length, positions(network.config.to_dict()))
    sizes = sizes_for(tokenizer, sees, OVERLAP)
    may_be_none = bool(getattr(network.config, UNANSWERABLE, False))

    def answered(questions: Sequence[Question]) -> Iterator[Any]:
        asked = [Asked(n, one.question, one.context, None) for n, one in enumerate(questions)]
        windows = longest_first([*windows_of(tokenizer, asked, sizes)], length)
        best = best_answers(windows, *_logits(network, Collate(tokenizer), windows, together))
        for one in asked:
            yield _told(best[one.row], one.context, may_be_none=may_be_none)

    return answered


Logits = list[NDArray[Any]]


def _logits(
    network: Any, collate: Collate, windows: Sequence[Window], together: int
) -> tuple[Logits, Logits]:
    """Return how likely an answer starts and ends at each token of the windows."""
    starts: Logits = []
    ends: Logits = []
    for some in parts(windows, together):
        batch = collate([one.tokens for one in some])
        with torch.no_grad():
            told = network(**{name: each.to(network.device) for name, each in batch.items()})
        starts += [*told.start_logits.float().cpu().numpy()]
        ends += [*told.end_logits.float().cpu().numpy()]
    return starts, ends


def _told(best: Found, context: str, *, may_be_none: bool) -> dict[str, Any]:
    if may_be_none and best.nothing > best.score:
        return {"answer": "", "score": 1 - best.sure, "start": 0, "end": 0}
    text = context[best.start : best.end]
    start = best.start + len(text) - len(text.lstrip())  # byte-level tokens begin with a blank
    return {"answer": text.strip(), "score": best.sure, "start": start, "end": best.end}
