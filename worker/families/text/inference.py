"""Inference with a trained model of texts: imports transformers when it is called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from worker.exchange import Answering
from worker.paths import ref_of


class Question(Protocol):
    """What a model is asked."""

    @property
    def text(self) -> str: ...
    @property
    def trust_remote_code(self) -> bool: ...


def answering(model: str, question: Question, together: int) -> Answering:
    """Return the model, which answers each text with `[{"label": …, "score": …}, …]`.

    All that it tells is there, the likeliest first. Texts of about the same length go together.
    """
    from transformers import pipeline

    from worker.engine.source import loading

    ref, code = ref_of(model), question.trust_remote_code
    with loading(ref.name):
        ask = pipeline(
            "text-classification", model=ref.name, revision=ref.revision, trust_remote_code=code
        )

    def answered(questions: Sequence[Question]) -> Iterator[Any]:
        places = sorted(range(len(questions)), key=lambda place: len(questions[place].text))
        texts = [questions[place].text for place in places]
        told = ask(texts, batch_size=together, top_k=None, truncation=True)
        found = dict(zip(places, told, strict=True))
        return (found[place] for place in range(len(questions)))

    return answered
