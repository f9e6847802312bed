"""Rows of words and tags: what is read, and what the check finds wrong with them, all at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from tiny_reader import sentences, tokenizer

from worker.errors import BadData
from worker.facts import ModelFacts
from worker.splits import Split
from worker.task import DataReport
from worker.tasks.token_classification import TASK
from worker.tasks.token_classification.rows import gathered, learnable, read, scheme, tags_of

BERT = ModelFacts("bert", 10**8, config={"model_type": "bert", "max_position_embeddings": 96})


def split(rows: Sequence[Mapping[str, Any]], source: str = "train.csv", **more: Any) -> Split:
    return Split(source, ("tokens", "tags"), list(enumerate(rows, 1)), len(rows), **more)


def params(**settings: Any) -> Any:
    return TASK.params(model="bert", data_path="train.csv", **{"valid_split": None, **settings})


def row(tokens: Any, tags: Any) -> dict[str, Any]:
    return {"tokens": tokens, "tags": tags}


def inspected(rows: Sequence[Mapping[str, Any]], valid: Any = None, **settings: Any) -> DataReport:
    splits = {"train": split(rows)} | ({"valid": split(valid, "valid.csv")} if valid else {})
    return TASK.inspect(params(**settings), splits, BERT, tokenizer().backend_tokenizer)


@pytest.mark.parametrize(
    "cell",
    [
        (["Ann", "is", "?"], ["B-PER", "O", "O"]),
        ('["Ann", "is", "?"]', "['B-PER', 'O', 'O']"),
        ("('Ann', 'is', '?')", '["B-PER", "O", "O"]'),
    ],
)
def test_lists_are_read_however_they_are_written(cell: tuple[Any, Any]) -> None:
    (one,) = read(params(), split([row(*cell)]), [(1, row(*cell))]).examples
    assert one.words == ("Ann", "is", "?")
    assert one.tags == ("B-PER", "O", "O")


def test_numbers_stand_for_the_names_that_the_data_declare() -> None:
    rows = [row(["Ann", "is", "x"], [1, 0, -1])]
    declared = split(rows, classes={"tags": ("O", "B-PER", "I-PER")})
    (one,) = read(params(), declared, [(1, rows[0])]).examples
    assert one.tags == ("B-PER", "O", None)
    assert tags_of(gathered({"train": declared}, params())) == ("O", "B-PER", "I-PER")


def test_a_tag_that_only_validation_has_gets_a_number() -> None:
    splits = {
        "train": split([row(["Ann", "is"], ["B-PER", "O"])]),
        "valid": split([row(["Ann", "Lee"], ["B-PER", "I-PER"])]),
    }
    assert tags_of(gathered(splits, params())) == ("B-PER", "I-PER", "O")


def test_all_that_is_wrong_is_found_at_once_with_its_rows() -> None:
    rows = [*sentences(60), row(["a", "b"], ["O"]), row("Ann is", "O O"), row(None, None)]
    rows += [row("['Ann' 'is']", "['B-PER' 'O']"), row(["x"], [1.5]), row(["a"], ["I-PER"])]
    found = {f.text: f for f in inspected(rows, sentences(9, 1)).findings}
    for text in (
        "1 row with more words than tags, or fewer, 61: left out",
        "2 rows whose words or tags are no list, 62, 64: left out",
        "1 row without words, 63: left out",
        "1 row with a tag that is no tag, or none of those declared, 65: left out",
        "1 row in which an entity begins with I- or E-, and not with B-, 66",
    ):
        assert any(text in said and f.level == "warn" for said, f in found.items()), text


def test_many_broken_rows_are_an_error() -> None:
    rows = [*sentences(10), *(row(["a", "b"], ["O"]) for _ in range(3))]
    errors = [f.text for f in inspected(rows).findings if f.level == "error"]
    assert errors == ["train.csv: 3 rows with more words than tags, or fewer, 11, 12, 13"]


def test_unknown_tags_and_cut_sentences_are_told() -> None:
    long = row(["Ann"] * 200, ["B-PER"] * 200)
    report = inspected([*sentences(40), long], [row(["a"], ["B-ORG"])])
    told = [f.text for f in report.findings]
    assert any("valid.csv has 1 class that no training sentence is of: B-ORG" in t for t in told)
    assert any("1 sentence (2.4%) cut at 96" in text for text in told)
    assert any("IOB2 tags: LOC 40" in text or "IOB2 tags: PER" in text for text in told)
    assert report.rows == 41 and report.longest == 96
    assert any(part.learned for part in report.example.parts) if report.example else False


@pytest.mark.parametrize(
    ("tags", "named"),
    [
        (["O", "I-A", "B-A"], "IOB1"),
        (["O", "B-A", "I-A"], "IOB2"),
        (["S-A", "B-A", "E-A"], "BIOES"),
        (["NOUN", "VERB", "O"], "plain"),
    ],
)
def test_schemes_are_told_apart(tags: list[str], named: str) -> None:
    rows = [row(list("abc"), tags)]
    assert scheme(read(params(), split(rows), [(1, rows[0])]).examples) == named


def test_numbers_without_names_and_tags_that_are_all_the_same() -> None:
    told = {f.level: f.text for f in inspected([row(["a", "b"], [0, 0])]).findings}
    assert "there is nothing to tell apart" in told["error"]
    with pytest.raises(BadData, match="nothing to learn"):
        learnable(gathered({"train": split([row(["a", "b"], [0, 0])])}, params()))
    mixed = [f.text for f in inspected([row(["a", "b"], [0, 1])] * 20).findings]
    assert any("nothing says what they stand for" in text for text in mixed)


def test_a_missing_column_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadData, match=r"--tags-column tags"):
        read(params(tags_column="tag"), split([]), [])


def test_a_validation_split_without_a_usable_row_is_told() -> None:
    found = inspected(sentences(20), [row(None, None)]).findings
    assert any("no sentence is left to validate with" in one.text for one in found)
    assert not any("nothing is held out" in one.text for one in found)
