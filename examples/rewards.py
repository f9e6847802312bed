"""Rewards for `hubtrain llm --trainer grpo --reward-funcs rewards.py`: what is liked in answers.

The file is sent along as it is and runs where the model is trained. Each public function that takes
`completions` is a reward: it is handed all answers of a step by name, with the columns of the data
beside them, and returns one number for each; None where it has nothing to say.
"""

from __future__ import annotations

from typing import Any


def right(completions: list[Any], answer: list[Any], **kwargs: Any) -> list[float]:
    """Return 1 for answers in which what the column `answer` says is found, else 0."""
    pairs = zip(map(_text, completions), answer, strict=True)
    return [1.0 if str(wanted).strip().lower() in said.lower() else 0.0 for said, wanted in pairs]


def short(completions: list[Any], **kwargs: Any) -> list[float]:
    """Return a little more for shorter answers, from 0 to 0.2."""
    return [0.2 / (1 + len(_text(said).split()) / 20) for said in completions]


def _text(completion: Any) -> str:
    """Return an answer as text: that to a conversation comes as a list with one message."""
    return completion if isinstance(completion, str) else completion[0]["content"]
