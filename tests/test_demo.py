"""The demo's data: real, balanced, and nothing of what is asked at the end has been learned."""

from __future__ import annotations

from collections import Counter

import help_desk


def test_nothing_that_is_held_out_is_learned() -> None:
    train, held_out = help_desk.rows()
    learned = {row["messages"][0]["content"] for row in train}
    asked = [row["messages"][0]["content"] for row in held_out]
    assert learned.isdisjoint(asked)
    assert len(learned) == len(train) == help_desk.TRAIN * len(help_desk.TOPICS)
    assert len(set(asked)) == len(held_out) == help_desk.HELD_OUT * len(help_desk.TOPICS)


def test_every_topic_is_there_as_often() -> None:
    for rows in help_desk.rows():
        answers = Counter(row["messages"][1]["content"] for row in rows)
        assert len(answers) == len(help_desk.TOPICS)
        assert len(set(answers.values())) == 1
