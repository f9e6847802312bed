"""Advice that harms is worse than none: what is offered for a name that there is not."""

from __future__ import annotations

import pytest

from worker.nearest import distance, nearest

SETTINGS = ("max_length", "learning_rate", "epochs", "batch_size", "detach", "lora_r", "lr", "peft")
FLAVORS = ("spaces-t4", "spaces-a100", "spaces-4xa100", "spaces-l4", "spaces-a10g-large")


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("learning_rat", SETTINGS, "learning_rate"),
        ("--learnign-rate", SETTINGS, "learning_rate"),
        ("epoch", SETTINGS, "epochs"),
        ("rate_learning", SETTINGS, "learning_rate"),
        ("batchsize", SETTINGS, "batch_size"),
        ("Batch-Size", SETTINGS, "batch_size"),
        ("bach-size", SETTINGS, "batch_size"),
        ("sfft", ("default", "sft"), "sft"),
        ("--trainr", ("--train", "--trainer"), "--trainer"),
        ("--trian", ("--train", "--trainer"), "--train"),
        ("spaces-a10g-larg", FLAVORS, "spaces-a10g-large"),
        ("SPACES_T4", FLAVORS, "spaces-t4"),
        ("spaces-a10g_large", FLAVORS, "spaces-a10g-large"),
        ("chts.jsonl", ("chats.jsonl", "other.jsonl"), "chats.jsonl"),
    ],
)
def test_a_slip_of_the_keys_is_answered(name: str, known: tuple[str, ...], meant: str) -> None:
    assert nearest(name, known) == meant


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("--dpo-beta", SETTINGS),
        ("max_prompt_length", SETTINGS),
        ("spaces-h100", FLAVORS),
        ("spaces-l40", FLAVORS),
        ("test", ("train", "valid")),
        ("sales.csv", ("chats.csv", "notes.csv")),
        ("data1.csv", ("data2.csv",)),
        ("int8", ("int4",)),
        ("bf16", ("fp16",)),
        ("dpo", ("sft", "default")),
        ("run", ("rm",)),
        ("", SETTINGS),
        ("---", SETTINGS),
    ],
)
def test_another_thing_is_not_offered(name: str, known: tuple[str, ...]) -> None:
    assert nearest(name, known) is None


def test_synonyms_are_offered_where_there_is_such_a_thing() -> None:
    assert nearest("4-bit", ("int4", "int8"), {"4-bit": "int4"}) == "int4"
    assert nearest("4-bit", ("int8",), {"4-bit": "int4"}) is None


@pytest.mark.parametrize(
    ("one", "other", "count"),
    [("", "", 0), ("abc", "abc", 0), ("abc", "acb", 1), ("abc", "ab", 1), ("kitten", "sitting", 3)],
)
def test_distance(one: str, other: str, count: int) -> None:
    assert distance(one, other) == distance(other, one) == count
