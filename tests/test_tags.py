"""Tags of words: schemes, entities and their measure, judged by seqeval."""

from __future__ import annotations

import random
import warnings

import pytest

from worker.families.tags import Entity, begins_apart, begins_inside, continued, entities
from worker.families.training.entities import tagging

SCHEMES = {
    "IOB": ["O", "B-A", "I-A", "B-B", "I-B"],
    "BIOES": ["O", *(f"{mark}-{kind}" for mark in "BIES" for kind in "AB")],
    "plain": ["noun", "verb", "adj"],
    "bare": ["O", "B", "I"],
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_any_tags_are_measured_as_seqeval_measures_them(scheme: str) -> None:
    from seqeval import metrics

    judges = {
        "precision": metrics.precision_score,
        "recall": metrics.recall_score,
        "f1": metrics.f1_score,
        "accuracy": metrics.accuracy_score,
    }
    chance, tags = random.Random(1), SCHEMES[scheme]
    for _ in range(200):
        truth = [[chance.choice(tags) for _ in range(chance.randint(1, 9))] for _ in range(3)]
        guesses = [[chance.choice(tags) for _ in sentence] for sentence in truth]
        found = tagging(truth, guesses)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # seqeval's, of plain tags and of shares of nothing
            wanted = {name: float(judge(truth, guesses)) for name, judge in judges.items()}
        assert found == pytest.approx(wanted, abs=1e-12)


def test_plain_tags_are_read_whole() -> None:
    tags = ["OPERATOR", "OPERATOR", "NAME", "O", "INTJ"]
    found = [Entity("OPERATOR", 0, 1), Entity("NAME", 2, 2), Entity("INTJ", 4, 4)]
    assert entities(tags) == found


def test_bilou_says_what_bioes_says() -> None:
    tags = ["B-A", "I-A", "E-A", "S-B", "S-B", "O", "B-B", "E-B"]
    other = ["B-A", "I-A", "L-A", "U-B", "U-B", "O", "B-B", "L-B"]
    assert entities(tags) == entities(other)
    assert len(entities(tags)) == 4


def test_what_begins_with_an_inside_is_seen() -> None:
    assert begins_inside(["O", "I-A"]) and begins_inside(["B-A", "I-B"])
    assert not begins_inside(["B-A", "I-A", "B-A", "S-B"])
    assert begins_apart(["O", "B-A"]) and not begins_apart(["I-A", "B-A"])


def test_the_rest_of_a_word_is_inside_of_its_entity() -> None:
    assert [continued(tag) for tag in ("B-A", "I-A", "O", "noun")] == ["I-A", "I-A", "O", "noun"]


def test_nothing_found_and_nothing_there_are_no_errors() -> None:
    assert tagging([["O"]], [["O"]]) == {"precision": 0, "recall": 0, "f1": 0, "accuracy": 1}
    assert tagging([], [])["accuracy"] == 0
