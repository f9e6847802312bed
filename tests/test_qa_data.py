"""Questions, contexts and answers: what is read, what is mended, and what the check finds wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from tiny_reader import questions, tokenizer

from worker.errors import BadData
from worker.facts import ModelFacts
from worker.splits import Split
from worker.task import DataReport
from worker.tasks.extractive_qa import TASK
from worker.tasks.extractive_qa.rows import answers_of, read
from worker.tasks.extractive_qa.windows import Windows

BERT = ModelFacts("bert", 10**8, config={"model_type": "bert", "max_position_embeddings": 96})
ULM = [("Ulm", 13)]


def split(rows: Sequence[Mapping[str, Any]], source: str = "train.csv") -> Split:
    columns = ("context", "question", "answers")
    return Split(source, columns, list(enumerate(rows, 1)), len(rows))


def params(**settings: Any) -> Any:
    return TASK.params(model="bert", data_path="train.csv", **{"valid_split": None, **settings})


def row(answers: Any, context: Any = "Ann lives in Ulm.", question: Any = "where ?") -> Any:
    return {"context": context, "question": question, "answers": answers}


def inspected(rows: Sequence[Any], valid: Any = None, **settings: Any) -> DataReport:
    splits = {"train": split(rows)} | ({"valid": split(valid, "valid.csv")} if valid else {})
    return TASK.inspect(params(**settings), splits, BERT, tokenizer().backend_tokenizer)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ({"text": ["Ulm"], "answer_start": [13]}, ULM),
        ({"text": "Ulm", "answer_start": 13}, ULM),
        ([{"text": "Ulm", "answer_start": 13}], ULM),
        ("{'text': ['Ulm'], 'answer_start': [13]}", ULM),
        ('{"text": ["Ulm"], "answer_start": [13], "id": null}', ULM),
        ("{'text': array(['Ulm'], dtype=object), 'answer_start': array([13], dtype=int32)}", ULM),
        ("Ulm", [("Ulm", None)]),
        ({"text": [], "answer_start": []}, []),
        ('{"text": null, "answer_start": null}', []),
        ({"text": [""], "answer_start": [-1]}, []),
        ({"text": ["Ulm"], "answer_start": [None]}, [("Ulm", None)]),
        ("[]", []),
    ],
)
def test_answers_are_read_however_they_are_written(cell: Any, said: Any) -> None:
    assert answers_of(cell) == said


@pytest.mark.parametrize(
    "cell",
    [
        "{'text': open('x')}",
        '{"answer": 1}',
        3,
        {"text": [1]},
        {"text": ["a", "b"], "answer_start": [1]},
    ],
)
def test_what_is_no_answer_is_refused_and_never_executed(cell: Any) -> None:
    with pytest.raises(BadData):
        answers_of(cell)


def test_an_answer_is_taken_from_where_its_text_is_nearest() -> None:
    context = "Ulm is near Ulm and Ulm."
    rows = [row({"text": ["Ulm"], "answer_start": [start]}, context) for start in (12, 11, 22)]
    found = read(params(), split(rows), enumerate(rows, 1))
    assert [one.answer.start for one in found.examples if one.answer] == [12, 12, 20]
    assert found.moved == [2, 3]


def test_all_answers_count_and_the_first_that_is_there_is_learned() -> None:
    rows = [row({"text": ["Bonn", "in Ulm", "Ulm"], "answer_start": [0, 10, 13]})]
    (one,) = read(params(), split(rows), enumerate(rows, 1)).examples
    assert one.answer and one.answer.text == "in Ulm" and one.texts == ("Bonn", "in Ulm", "Ulm")


def test_all_that_is_wrong_is_found_at_once_with_its_rows() -> None:
    rows = [*questions(60), row("{broken"), row({"text": ["Bonn"], "answer_start": [3]})]
    rows += [row(json.dumps({"text": ["Ulm"], "answer_start": [2]})), row("Ulm", context=None)]
    told = {f.text: f.level for f in inspected(rows, questions(9, 1, unanswerable=True)).findings}
    for text in (
        "1 row whose answers cannot be read, 61: left out",
        "1 row whose answer is not in the context, 62: left out",
        "1 row whose answer is not at its answer_start, 63: taken from where its text is nearest",
        "1 row without a question, a context or a word about answers, 64: left out",
        "valid.csv has questions without an answer and train.csv has none",
    ):
        assert any(text in said and level == "warn" for said, level in told.items()), text


def test_contexts_that_are_too_long_are_counted_and_so_are_their_windows() -> None:
    rows = questions(20)
    report = inspected(rows, max_seq_length=20, max_doc_stride=20)
    told = [f.text for f in report.findings]
    assert any("20 contexts are longer than the 20 that the model sees" in text for text in told)
    assert any("cannot share 20" in text for text in told)
    assert report.rows > 40 and report.longest == 20
    assert inspected(rows).rows == 20


def test_nothing_to_learn_is_an_error() -> None:
    rows = [row({"text": [], "answer_start": []})] * 12
    errors = [f.text for f in inspected(rows).findings if f.level == "error"]
    assert errors == ["no question of train.csv has an answer that is in its context"]


@pytest.mark.parametrize(("length", "stride"), [(128, 128), (512, 128), (384, 128), (20, 500)])
def test_windows_get_on_whatever_is_asked_for(length: int, stride: int) -> None:
    sizes = Windows.of(length, 3, stride)
    assert 0 <= sizes.overlap < sizes.room(10**6)
    assert sizes.overlap == stride or length < 300
    assert sizes.count(5, 10) == 1
    assert sizes.count(5, 10_000) > 10_000 / length
