"""Tiny data to begin with: what was said, and what it comes to."""

from __future__ import annotations

from worker.task import Sample

NAMES = ("Ann", "Ben", "Cleo", "Dan", "Eve", "Finn")
PLANS = {
    "go to the cinema on Friday": "film",
    "bake a cake for Sunday": "recipe",
    "repair the bicycle tomorrow": "pump",
    "visit the museum next week": "ticket",
    "cook soup this evening": "pot",
}
"""What two people do together, and what one of them has for it."""


def sample() -> Sample:
    """Return dialogues and their summaries."""
    rows = [
        {
            "dialogue": f"{one}: Shall we {plan}?\n{other}: Gladly! I have a {thing}.",
            "summary": f"{one} and {other} will {plan}.",
        }
        for i, one in enumerate(NAMES)
        for other in NAMES[i + 1 :]
        for plan, thing in PLANS.items()
    ]
    return Sample.of_rows(
        "dialogues.csv",
        rows,
        model="google/flan-t5-base",
        text_column="dialogue",
        target_column="summary",
        peft=True,
        max_target_length=32,
    )
