"""Asks a trained model for the vectors of texts, and how alike they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sentence_transformers import SentenceTransformer

from worker.engine.devices import device
from worker.engine.source import loading
from worker.exchange import Answering
from worker.paths import ref_of
from worker.tasks.sentence_transformers.params import Question


def answering(model: str, question: Question, together: int) -> Answering:
    """Return the model, which answers one text with its vector, and two with how alike they are.

    That is the similarity that the model names, by default the cosine.
    """
    ref, code = ref_of(model), question.trust_remote_code
    with loading(ref.name):
        net = SentenceTransformer(
            ref.name, revision=ref.revision, trust_remote_code=code, device=device()
        )

    def answered(questions: Sequence[Question]) -> Iterator[Any]:
        texts = [text for one in questions for text in (one.text, one.other) if text]
        different = list(dict.fromkeys(texts))
        made = net.encode(different, batch_size=together, show_progress_bar=False)
        vectors = dict(zip(different, made, strict=True))
        for one in questions:
            if one.other:
                alike = net.similarity(vectors[one.text], vectors[one.other])
                yield round(float(alike[0][0]), 6)
            else:
                yield [round(float(number), 6) for number in vectors[one.text]]

    return answered
