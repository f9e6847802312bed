"""A few questions to begin with, and short texts that answer them, but for the last ones."""

from __future__ import annotations

from typing import Any

from worker.task import Sample

OPENINGS = """
The library|nine|seven|a library card
The swimming pool|six|ten|a towel
The museum|ten|five|a ticket
The bakery|five|noon|a bag
The town hall|eight|four|a passport
The market|seven|one|cash
"""


def sample() -> Sample:
    """Return questions with their texts, and settings that a laptop trains with."""
    rows = [row for line in OPENINGS.strip().splitlines() for row in _rows(*line.split("|"))]
    return Sample.of_rows("questions.jsonl", rows, epochs=3, batch_size=4, max_seq_length=64)


def _rows(place: str, opens: str, closes: str, bring: str) -> list[dict[str, Any]]:
    context = f"{place} opens at {opens} and closes at {closes}. Please bring {bring}."
    asked = {
        "When does it open?": opens,
        "When does it close?": closes,
        "What should I bring?": bring,
        "Who is the owner?": "",
    }
    return [
        {"context": context, "question": question, "answers": _answers(answer, context)}
        for question, answer in asked.items()
    ]


def _answers(answer: str, context: str) -> dict[str, Any]:
    """Return an answer as SQuAD has it; an empty one is none."""
    if not answer:
        return {"text": [], "answer_start": []}
    return {"text": [answer], "answer_start": [context.index(answer)]}
