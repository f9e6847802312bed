"""`--inference --input`: a model answers all rows of a file or folder, and none twice."""

from __future__ import annotations

import csv
import io
import json
import os
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import tiny_vit
from standins.laptop import Laptop
from standins.localhub import HubServer

from orchestrator.inference.predictions import Predictions, harmless
from orchestrator.inference.predictions import told as as_printed
from orchestrator.inference.questions import Questions, columns_of
from orchestrator.inference.rows import Rows, find
from worker import tasks
from worker.answers import cells
from worker.errors import BadConfig, BadData
from worker.exchange import Field, Page
from worker.facts import ModelFacts

TASK = tasks.load("image_classification")
MEDIA = TASK.media
PAGE = Page("", (Field("image", "Image", "image"),), "labels")
LIKELY = [{"label": "b", "score": 0.7}, {"label": "a", "score": 0.3}]


def read(rows: Rows) -> list[tuple[str, dict[str, Any]]]:
    return [(where, dict(row)) for where, row in rows.read()]


def test_rows_are_found_in_what_people_have(tmp_path: Path) -> None:
    (lines := tmp_path / "a.txt").write_text("one\n\ntwo, and more\r\n", "utf-8")
    assert read(find(str(lines), ())) == [
        ("line 1", {"text": "one"}),
        ("line 3", {"text": "two, and more"}),
    ]
    (table := tmp_path / "a.csv").write_text("x,y\n1,a\n2,b\n")
    assert read(find(str(table), ())) == [
        ("line 2", {"x": 1, "y": "a"}),
        ("line 3", {"x": 2, "y": "b"}),
    ]
    folder = tiny_vit.write_folders(tmp_path / "pictures", 1)
    found = find(str(folder), MEDIA)
    assert (found.columns, found.total) == (("file_name",), 3)
    assert [where for where, _ in found.read()] == ["blue/0.png", "green/0.png", "red/0.png"]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("red.png", tiny_vit.image("red", 1))
        archive.writestr("metadata.csv", "file_name,note\nred.png,warm\n")
    packed = find(str(tmp_path / "a.zip"), MEDIA)
    assert read(packed) == [("line 2", {"file_name": "red.png", "note": "warm"})]
    assert packed.file("red.png").size == len(tiny_vit.image("red", 1))
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.writestr("../blue.png", tiny_vit.image("blue", 1))
    with pytest.raises(BadData, match=r"lead out of the zip: \.\./blue\.png"):
        find(str(tmp_path / "a.zip"), MEDIA)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.csv", None, "no file or folder"),
        ("a.txt", b"", "has no lines"),
        ("a.bin", b"\xff\xfe\xfa", "no text in UTF-8"),
        ("a.csv", b"x\n", "has no rows"),
    ],
)
def test_what_holds_no_rows_is_said(
    tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadData, match=said):
        find(str(tmp_path / name), ())


def questions(path: Path, folder: Path, **given: str) -> Questions:
    rows, needed = find(str(path), MEDIA), frozenset({"image"})
    return Questions(rows, columns_of(TASK, PAGE, rows, given, needed), needed, folder)


@pytest.mark.parametrize("name", ["/dev/zero", "rows.jsonl"])
def test_what_can_be_read_once_or_for_ever_is_no_input(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "rows.jsonl")
    with pytest.raises(BadData, match="neither a file nor a folder"):
        find(str(tmp_path / name), ())


def test_a_row_that_cannot_be_asked_about_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(tiny_vit.image("red", 1))
    (tmp_path / "b.png").write_text("no picture")
    (path := tmp_path / "list.jsonl").write_text(
        "".join(json.dumps({"photo": name, "n": 1}) + "\n" for name in ("a.png", "b.png", "c", ""))
    )
    with pytest.raises(BadData, match='no column "image"') as wrong:
        questions(path, tmp_path)
    assert wrong.value.fix.startswith("--image-column")
    asked = list(questions(path, tmp_path, image_column="photo").read(0))
    assert Path(asked[0].question["image"]).read_bytes() == tiny_vit.image("red", 1)
    faults = [one.fault for one in asked]
    assert faults[0] == "" and faults[1].startswith("it is no image")
    assert faults[2:] == ["there is no file c", '"photo" is empty']


def answered(output: Path, start: int, rows: int) -> Predictions:
    made = Predictions(output, {"model": "m"})
    assert made.begin() == start
    for _ in range(rows):
        made.add(cells("labels", LIKELY))
    return made


def test_who_was_killed_goes_on_and_nothing_is_half_written(tmp_path: Path) -> None:
    (path := tmp_path / "a.csv").write_text('x,score\n1,2\n"a, b",3\n4,\n')
    output = tmp_path / "out.csv"
    made = answered(output, 0, 1)
    with made.kept.open("ab") as kept:
        kept.write(b'{"cells": {"predi')
    assert not output.exists()
    made = answered(output, 1, 1)
    made.add(None, "it is empty")
    assert made.faults == 1
    assert made.finish(find(str(path), ())) == {"score": "predicted_score"}
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["a.csv", "out.csv"]
    said = list(csv.DictReader(io.StringIO(output.read_text("utf-8"))))
    assert said[1] == {
        **{"x": "a, b", "score": "3", "prediction": "b", "predicted_score": "0.7"},
        **{"score_a": "0.3", "score_b": "0.7"},
    }
    assert said[2]["x"] == "4" and set(list(said[2].values())[1:]) == {""}
    with pytest.raises(BadConfig, match="is there already"):
        Predictions(output, {}).begin()


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(1)", "'@SUM(1)"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("- a", "'- a"),
        ("\t=1", "'\t=1"),
        ("\uff1d1", "'\uff1d1"),
        ("'=1", "''=1"),
        *((same, same) for same in ("-5", "+3.2e4", "a=1", "'tis", "", 1.5, -2, None)),
    ],
)
def test_no_answer_is_a_formula_of_a_spreadsheet(text: Any, safe: Any) -> None:
    assert harmless(text) == safe


def test_in_csv_classes_that_are_formulas_are_marked_and_told_and_the_input_is_as_it_was(
    tmp_path: Path,
) -> None:
    (path := tmp_path / "a.csv").write_text("x\n=2\n@ann\n")
    said = [{"label": "=1+1", "score": 0.7}, {"label": "-1", "score": 0.3}]
    for name, prediction, formulas in (("b.csv", "'=1+1", 2), ("b.jsonl", "=1+1", 0)):
        made = Predictions(tmp_path / name, {})
        made.begin()
        for _ in range(2):
            made.add(cells("labels", said))
        made.finish(find(str(path), ()))
        assert made.formulas == formulas
        rows = [row for _, row in find(str(tmp_path / name), ()).read()]
        assert [(row["x"], row["prediction"]) for row in rows] == [
            ("=2", prediction),
            ("@ann", prediction),
        ]
        assert {"score_=1+1", "score_-1"} < rows[0].keys()


def test_a_row_that_is_printed_keeps_its_columns() -> None:
    row = {"x": "a", "prediction": "mine", "error": 1}
    printed = as_printed(row, {"prediction": "b", "score": 0.7})
    assert printed == {**row, "predicted_prediction": "b", "score": 0.7}
    assert as_printed(row, None, "it is empty") == {**row, "predicted_error": "it is empty"}


def test_answers_of_something_else_are_left_alone(tmp_path: Path) -> None:
    made = answered(tmp_path / "a.jsonl", 0, 1)
    with pytest.raises(BadConfig, match="holds answers of another model"):
        Predictions(tmp_path / "a.jsonl", {"model": "other"}).begin()
    assert len(made.kept.read_text().splitlines()) == 2
    with pytest.raises(BadConfig, match=r"written as \.csv or \.jsonl") as wrong:
        Predictions(tmp_path / "a.parquet", {}).begin()
    assert wrong.value.fix == f"--output {tmp_path / 'a.csv'}"


def test_answers_are_not_held_in_memory(tmp_path: Path) -> None:
    import tracemalloc

    count = 3000  # were they held, tens of megabytes
    (path := tmp_path / "a.csv").write_text("x\n" + "".join(f"{n}\n" for n in range(count)))
    many = [{"label": f"class {n}", "score": 1 / 50} for n in range(50)]
    made = Predictions(tmp_path / "a.jsonl", {})
    tracemalloc.start()
    made.begin()
    for _ in range(count):
        made.add(cells("tags", many))
    made.finish(find(str(path), ()))
    assert tracemalloc.get_traced_memory()[1] < 4e6
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("kind", "answer", "told"),
    [
        ("tags", LIKELY, {"prediction": ["b"], "score_a": 0.3, "score_b": 0.7}),
        ("number", 1.5, {"prediction": 1.5}),
        ("number", {"price": 2}, {"prediction_price": 2}),
        ("text", "yes", {"prediction": "yes"}),
        ("vector", [0.1, 0.2], {"vector": [0.1, 0.2]}),
        ("similarity", 0.9, {"similarity": 0.9}),
    ],
)
def test_each_kind_of_answer_has_its_columns(kind: Any, answer: Any, told: dict[str, Any]) -> None:
    assert cells(kind, answer) == told


@pytest.fixture(scope="module")
def laptop(shared_hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Laptop:
    laptop = Laptop(tmp_path_factory.mktemp("asking") / "home", shared_hub)
    tiny_vit.write_model(laptop.home.parent / "vit")
    return laptop


@pytest.mark.slow
def test_pictures_of_a_folder_are_told_apart(laptop: Laptop) -> None:
    folder = tiny_vit.write_folders(laptop.home.parent / "pictures", 2)
    (folder / "red" / "broken.png").write_bytes(tiny_vit.image("red", 1)[:60])
    ask = ("image-classification", "--inference", "--model", "./vit")
    said = laptop.run(*ask, "--input", "pictures", "--output", "out.csv", "--batch-size", "4")
    assert said.code == 1, said.out + said.err
    assert "7 rows in out.csv" in said.out and "1 row could not be answered" in said.err
    assert "red/broken.png: " in said.err
    written = (laptop.home.parent / "out.csv").read_text("utf-8")
    rows = list(csv.DictReader(io.StringIO(written)))
    one = laptop.run(*ask, "--image", f"pictures/{rows[0]['file_name']}", "--json")
    likeliest = one.document["answer"][0]
    assert rows[0]["prediction"] == likeliest["label"]
    assert float(rows[0]["score"]) == pytest.approx(likeliest["score"], abs=1e-5)
    assert rows[-1] == {**rows[-1], "file_name": "red/broken.png", "prediction": "", "score": ""}


def bert(**config: Any) -> ModelFacts:
    kind: dict[str, Any] = {"model_type": "bert"}
    kind["architectures"] = ["BertForSequenceClassification"]
    kind |= {"vocab_size": 99}
    told = {**kind, **config}
    return ModelFacts("m", 0, config={k: v for k, v in told.items() if v is not None})


@pytest.mark.parametrize(
    ("config", "asked"),
    [
        ({"id2label": {"0": "ham", "1": "spam"}}, "text_classification"),
        ({}, "text_classification"),
        ({"id2label": {"0": "stars"}, "problem_type": "regression"}, "text_regression"),
        ({"id2label": {"0": "reward"}, "problem_type": "regression"}, "llm"),
        ({"architectures": ["BertForTokenClassification"]}, "token_classification"),
        ({"architectures": ["BertForQuestionAnswering"]}, "extractive_qa"),
        ({"architectures": ["BertModel"]}, "sentence_transformers"),
        ({"architectures": ["T5EncoderModel"], "model_type": "t5"}, "sentence_transformers"),
        ({"architectures": ["T5ForConditionalGeneration"], "model_type": "t5"}, "seq2seq"),
        ({"architectures": ["MarianMTModel"], "model_type": "marian"}, "seq2seq"),
        ({"architectures": ["Idefics3ForConditionalGeneration"], "model_type": "idefics3"}, "vlm"),
        ({"architectures": ["LlavaForConditionalGeneration"], "model_type": "llava"}, "vlm"),
        (
            {"architectures": ["RTDetrForObjectDetection"], "model_type": "rt_detr"},
            "object_detection",
        ),
        (
            {"architectures": ["ViTForImageClassification"], "model_type": "vit"},
            "image_classification",
        ),
        (
            {"architectures": None, "model_type": None, "vocab_size": None, "hubtrain": {}},
            "tabular",
        ),
    ],
)
def test_a_model_is_asked_by_the_task_that_made_it(config: dict[str, Any], asked: str) -> None:
    """`hubtrain deploy NAME` is told no task: of those that can, the first answers."""
    able = []
    for task in map(tasks.load, tasks.names()):
        with suppress(BadConfig):
            task.can_answer(bert(**config))
            able += [task.name] if task.has_page else []
    assert able[0] == asked
