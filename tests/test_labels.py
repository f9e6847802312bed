"""What cells say of their examples: a class, several, a number."""

from __future__ import annotations

from typing import Any

import pytest

from worker.errors import BadData
from worker.families.labels import Labels, are_lists, listed

FREE = Labels("data.csv", "target")
DECLARED = Labels("data.parquet", "target", declared=("neg", "pos"))


@pytest.mark.parametrize(
    ("labels", "cell", "said"),
    [
        (FREE, "spam", "spam"),
        (FREE, 3.0, "3"),
        (FREE, True, "True"),
        (FREE, None, None),
        (DECLARED, 1, "pos"),
        (DECLARED, "neg", "neg"),
        (DECLARED, -1, None),
    ],
)
def test_the_class_of_a_cell(labels: Labels, cell: Any, said: str | None) -> None:
    assert labels.class_of(cell, 1) == said


@pytest.mark.parametrize(("labels", "cell"), [(FREE, 1.5), (FREE, [1]), (DECLARED, 2)])
def test_a_cell_without_a_class_is_named_by_its_row(labels: Labels, cell: Any) -> None:
    with pytest.raises(BadData, match=r'row 7 of data.*the column "target"'):
        labels.class_of(cell, 7)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (["a", "b", "a"], ("a", "b")),
        ('["a", "b"]', ("a", "b")),
        ("['a', 'b']", ("a", "b")),
        ("[]", ()),
        ([1, 2], ("1", "2")),
        (None, None),
    ],
)
def test_several_classes_of_a_cell(cell: Any, said: tuple[str, ...] | None) -> None:
    assert FREE.classes_of(cell, 1) == said


@pytest.mark.parametrize("cell", ["a", "[a", "__import__('os')", 3])
def test_what_is_no_list_of_classes_is_refused(cell: Any) -> None:
    with pytest.raises(BadData, match="no list of classes"):
        FREE.classes_of(cell, 1)


def test_a_text_that_is_a_list_is_read_and_never_executed() -> None:
    assert listed("[1, 'b']") == [1, "b"]
    assert listed("[__import__('os')]") == "[__import__('os')]"
    assert listed("[" * 100_000) == "[" * 100_000
    assert are_lists(["[1]", None, [2]])
    assert not are_lists(["[1]", "b"])
    assert not are_lists([None])


@pytest.mark.parametrize(("cell", "said"), [("1.5", 1.5), (2, 2.0), (True, 1.0), ("", None)])
def test_the_number_of_a_cell(cell: Any, said: float | None) -> None:
    assert FREE.number_of(cell, 1) == said


@pytest.mark.parametrize("cell", ["tall", float("inf"), [1]])
def test_what_is_no_number_is_refused(cell: Any) -> None:
    with pytest.raises(BadData, match="no number"):
        FREE.number_of(cell, 1)


def test_a_number_that_no_weight_can_say_is_refused() -> None:
    with pytest.raises(BadData, match=r"numbers such as 1e\+200, which is too large"):
        FREE.number_of(10**200, 1)
