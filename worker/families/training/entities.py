"""How well entities are found: precision, recall and F1 as `seqeval` and conlleval define them.

An entity is right where its kind and both its ends are. All kinds count together (micro average);
accuracy is of words. A share of nothing counts as 0. Of plain tags seqeval looks at the first
letter alone, and takes OPERATOR for outside; here they are read whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from worker.families.tags import entities

NOT_JUDGED = -100
"""Label of what no loss is taken of, and no measure."""


def tagging(truth: Sequence[Sequence[str]], guesses: Sequence[Sequence[str]]) -> dict[str, float]:
    """Return the measures of tagged sentences; both are (sentences, words)."""
    right = found = there = same = words = 0
    for one, other in zip(truth, guesses, strict=True):
        wanted, guessed = set(entities(one)), set(entities(other))
        right += len(wanted & guessed)
        found += len(guessed)
        there += len(wanted)
        same += sum(a == b for a, b in zip(one, other, strict=True))
        words += len(one)
    return {
        "precision": right / found if found else 0.0,
        "recall": right / there if there else 0.0,
        "f1": 2 * right / (found + there) if found + there else 0.0,
        "accuracy": same / words if words else 0.0,
    }


def named(guesses: Any, labels: Any, names: Sequence[str]) -> tuple[list[list[str]], ...]:
    """Return true and guessed tags by name, of the places that are judged.

    `guesses` and `labels` are numbers of tags, (sentences, places).
    """
    judged = labels != NOT_JUDGED
    pairs = [(labels[i][judged[i]], guesses[i][judged[i]]) for i in range(len(labels))]
    truth, said = zip(*pairs, strict=True) if pairs else ((), ())
    return tuple([[names[tag] for tag in each] for each in side] for side in (truth, said))
