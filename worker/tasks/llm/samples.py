"""Tiny data for each way to train a language model: the same few questions, as each reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Rows = list[dict[str, Any]]

SMALL: Mapping[str, Any] = {
    "model": "HuggingFaceTB/SmolLM2-135M-Instruct",
    "epochs": 1,
    "batch_size": 2,
    "model_max_length": 128,
    "peft": True,
}
"""Settings with which a laptop trains in a minute."""

ANSWERS: Mapping[str, tuple[str, str]] = {
    "Which planet is closest to the sun?": ("Mercury.", "Probably Mars."),
    "How many legs does a spider have?": ("Eight.", "Six, as all insects have."),
    "What do bees make?": ("Honey, and wax.", "Milk."),
    "Which gas do plants take in?": ("Carbon dioxide.", "Helium."),
    "What is frozen water called?": ("Ice.", "Steam."),
    "How many days has a week?": ("Seven.", "Ten."),
    "What is 7 times 8?": ("56.", "54."),
    "Which season comes after winter?": ("Spring.", "Autumn."),
    "What colour do blue and yellow make?": ("Green.", "Red."),
    "Which animal barks?": ("A dog.", "A fish."),
    "How many minutes has an hour?": ("Sixty.", "A hundred."),
    "What do we breathe?": ("Air.", "Sand."),
    "Which is heavier, a litre of water or of air?": ("Water.", "Air."),
    "What is the opposite of hot?": ("Cold.", "Warm."),
    "Where does the sun rise?": ("In the east.", "In the west."),
    "How many corners has a triangle?": ("Three.", "Four."),
}
"""A good and a bad answer to each question."""

REWARDS = '''\
"""What scores the answers: each function is asked once for all answers of a step."""


def right(completions, answer, **kwargs):
    """1 where the answer that is wanted stands in what was said."""
    return [float(wanted in said) for said, wanted in zip(completions, answer)]


def short(completions, **kwargs):
    """More for less: nothing from 200 characters on."""
    return [max(0.0, 1 - len(said) / 200) for said in completions]
'''


def texts() -> Rows:
    """Return texts."""
    return [{"text": f"{question} {good}"} for question, (good, _) in ANSWERS.items()]


def chats() -> Rows:
    """Return conversations."""
    return [
        {"messages": [*_turns(("user", question), ("assistant", good))]}
        for question, (good, _) in ANSWERS.items()
    ]


def pairs() -> Rows:
    """Return prompts with a better and a worse answer."""
    return [
        {"prompt": question, "chosen": good, "rejected": bad}
        for question, (good, bad) in ANSWERS.items()
    ]


def verdicts() -> Rows:
    """Return answers that are each good or bad."""
    return [
        {"prompt": question, "completion": answer, "label": answer == good}
        for question, (good, bad) in ANSWERS.items()
        for answer in (good, bad)
    ]


def prompts() -> Rows:
    """Return prompts with what is wanted, for functions that score."""
    return [
        {"prompt": question, "answer": good.rstrip(".")} for question, (good, _) in ANSWERS.items()
    ]


def _turns(*said: tuple[str, str]) -> Iterator[dict[str, str]]:
    for role, content in said:
        yield {"role": role, "content": content}
