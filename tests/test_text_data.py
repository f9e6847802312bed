"""What the check makes of texts, light: columns, classes, numbers, lengths, models, cost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
import tiny_bert

from worker.errors import BadConfig, BadData
from worker.families.text.kinds import SEQUENCES, UNSUITED
from worker.families.text.shape import ENDLESS, positions
from worker.splits import Split
from worker.task import DataReport, ModelFacts
from worker.tasks.text_classification import TASK as CLASSES
from worker.tasks.text_regression import TASK as NUMBERS

BERT: dict[str, Any] = {
    "architectures": ["BertForMaskedLM"],
    "model_type": "bert",
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "vocab_size": 30_522,
    "max_position_embeddings": 512,
}
FACTS = ModelFacts("google-bert/bert-base-uncased", 109_482_240, 4.0, BERT)


def split(cells: Sequence[Any], *, column: str = "label", **more: Any) -> Split:
    texts = more.pop("texts", None) or [f"the fox says {i}" for i in range(len(cells))]
    rows = [
        (i, {"text": t, column: c}) for i, (t, c) in enumerate(zip(texts, cells, strict=True), 1)
    ]
    return Split("mails.csv", ("text", column), rows, more.pop("total", len(rows)), **more)


def look(
    train: Split, valid: Split | None = None, *, task: Any = CLASSES, **how: Any
) -> DataReport:
    splits = {"train": train, **({"valid": valid} if valid else {})}
    tokenizer = how.pop("tokenizer", None)
    report: DataReport = task.inspect(task.params(data_path="d", **how), splits, FACTS, tokenizer)
    return report


def said(report: DataReport, level: str) -> str:
    return "\n".join(f.text for f in report.findings if f.level == level)


def fixes(report: DataReport, level: str = "error") -> list[str]:
    return [f.fix for f in report.findings if f.level == level]


def test_classes_are_counted_and_a_share_of_each_is_held_out() -> None:
    report = look(split(["spam"] * 20 + ["ham"] * 80))
    assert "100 texts in 2 classes: ham 80, spam 20 · 20% of each class held out" in said(
        report, "ok"
    )
    assert "gets a head for 2 classes" in said(report, "ok")
    assert (report.rows, report.valid_rows, report.steps, report.classes) == (80, 20, 30, 2)
    assert said(report, "warn") == "" == said(report, "error")


@pytest.mark.parametrize(
    ("cells", "declared", "words"),
    [
        ([0, 1] * 9, ("ham", "spam"), "2 classes: ham 9, spam 9"),
        ([10, 9, 1] * 9, (), "3 classes: 1 9, 9 9, 10 9"),
        ([True, False] * 9, (), "2 classes: False 9, True 9"),
        ([["a"], ["a", "b"], []] * 9, (), "2 classes, several each: a 18, b 9"),
        (["['a', 'b']", "['b']"] * 9, (), "2 classes, several each: b 18, a 9"),
        (['["a"]', "[]"] * 9, (), "1 class, several each: a 9"),
        ([[0, 1], [1]] * 9, ("joy", "fear"), "2 classes, several each: fear 18, joy 9"),
    ],
)
def test_labels_are_read_in_all_their_forms(cells: Any, declared: Any, words: str) -> None:
    assert words in said(look(split(cells, classes={"label": declared} if declared else {})), "ok")


def test_a_class_with_one_text_is_told_and_learned() -> None:
    report = look(split(["a"] * 30 + ["b"] * 30 + ["c"]))
    assert "fewer than 5 texts of 1 class: c 1" in said(report, "warn")
    assert report.rows + report.valid_rows == 61 and said(report, "error") == ""


def test_of_lists_that_are_all_different_a_share_is_held_out_too() -> None:
    cells = [[f"tag{i % 10}", f"tag{i % 9}", f"own{i}"] for i in range(90)]
    assert 10 <= look(split(cells)).valid_rows <= 30


def test_all_that_is_broken_is_told_at_once() -> None:
    texts: list[Any] = ["a text"] * 24
    texts[3], texts[4] = None, ["a", "list"]
    cells: list[Any] = ["['a']"] * 12 + ["['b']"] * 12
    cells[5], cells[6], cells[7] = "['a', 'b'", "a", None
    report = look(split(cells, texts=texts))
    errors = said(report, "error")
    assert 'row 5 of mails.csv: the column "text" holds lists and no text.' in errors
    assert "2 rows more are broken so, 6, 7" in errors
    assert "1 row without a text, 4: left out" in said(report, "warn")
    assert "1 row without a class, 8: left out" in said(report, "warn")


def test_both_wrong_columns_are_told_at_once() -> None:
    with pytest.raises(BadData, match=r'no column "body".*no column "kind"') as wrong:
        look(split(["a", "b"] * 9), text_column="body", target_column="kind")
    assert "--text-column" in wrong.value.fix and "--target-column" in wrong.value.fix


@pytest.mark.parametrize("column", ["target", "label", "labels", "class"])
def test_usual_names_of_the_column_are_found(column: str) -> None:
    assert look(split(["a", "b"] * 9, column=column)).rows


@pytest.mark.parametrize(
    ("cells", "words", "fix"),
    [
        (["a"] * 9, 'all texts are of the class "a"', "--target-column"),
        ([f"n{i}" for i in range(9)], "a class of its own", "text-regression"),
        ([[]] * 9, "is empty", "--target-column"),
        ([None] * 9, "no row of mails.csv has a text and a class", ""),
    ],
)
def test_where_nothing_can_be_told_apart_it_is_said(cells: Any, words: str, fix: str) -> None:
    report = look(split(cells))
    assert words in said(report, "error")
    assert any(fix in one for one in fixes(report))


def test_a_class_that_only_validation_has_is_an_error() -> None:
    report = look(split(["a", "b"] * 9), split(["a", "c"] * 3))
    assert "1 class that no training text is of: c" in said(report, "error")
    assert "has no text of 1 class: b" in said(report, "warn")


def test_numbers_are_described() -> None:
    report = look(split([1, 2.5, "3", 4, 5, 7] * 4), task=NUMBERS, epochs=9)
    assert "numbers: 1 to 7, mean 3.75, deviation 1.909" in said(report, "ok")
    assert (report.rows, report.valid_rows) == (19, 5)
    assert said(report, "warn") == "" == said(report, "error")


def test_a_column_of_classes_is_learned_as_numbers_with_a_warning() -> None:
    labels = {"label": ("ham", "spam")}
    report = look(split([0, 1] * 20, classes=labels), task=NUMBERS)
    assert "declares classes (ham 0, spam 1), whose numbers are learned" in said(report, "warn")
    assert "hubtrain text-classification" in fixes(report, "warn")[0]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["much", 1, 2], 'row 1 of mails.csv: the column "label" holds text such as "much"'),
        ([float("inf"), 1, 2], "is no number"),
        ([[1.0], 2, 3], "holds lists, which is no number"),
        ([2] * 9, "all numbers in the column"),
    ],
)
def test_what_is_no_number_is_told(cells: Any, words: str) -> None:
    assert words in said(look(split(cells), task=NUMBERS), "error")


def test_rows_that_are_broken_alike_are_told_with_what_to_type_once() -> None:
    report = look(split(["much", 1, "little", 2]), task=NUMBERS)
    (wrong,) = (finding for finding in report.findings if finding.level == "error")
    assert wrong.text.endswith("which is no number. 1 row more is broken so, 3.")
    assert wrong.fix.startswith("--target-column") and wrong.fix not in wrong.text


def test_tokens_are_counted_with_the_models_tokenizer() -> None:
    raw = tiny_bert.tokenizer().backend_tokenizer
    raw.enable_truncation(4)  # as some tokenizer.json do: it must not shorten the count
    raw.enable_padding(length=9)
    texts = ["the fox"] * 90 + ["the quick brown fox jumps over the lazy dog"] * 10
    how: dict[str, Any] = {"tokenizer": raw, "max_seq_length": 8, "valid_split": None}
    report = look(split(["a", "b"] * 50, texts=texts), **how)
    warned = "tokens a text: median 4, 99% 11, longest 11 · 10 texts (10.0%) cut at 8"
    assert warned in said(report, "warn") and "--max-seq-length 11" in fixes(report, "warn")
    assert (report.tokens, report.longest) == (90 * 4 + 10 * 8, 8)


def test_counts_are_scaled_where_only_the_first_rows_were_read() -> None:
    report = look(split(["a", "b"] * 50, total=1000))
    assert "about 1,000 texts" in said(report, "ok")
    assert (report.rows, report.valid_rows, report.longest) == (800, 200, 0)


def test_more_tokens_than_the_model_sees_are_told() -> None:
    report = look(split(["a", "b"] * 9), max_seq_length=2048)
    assert "sees 512 tokens at most" in said(report, "warn")
    roberta = {"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}
    assert positions(roberta) == 512
    assert positions({"model_type": "xlnet", "max_position_embeddings": -1}) == ENDLESS


@pytest.mark.slow
def test_every_kind_of_transformers_is_taken_or_refused_with_a_reason() -> None:
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES as KNOWN,
    )

    assert set(KNOWN) == SEQUENCES | set(UNSUITED)
    assert not SEQUENCES & set(UNSUITED)


@pytest.mark.parametrize("task", [CLASSES, NUMBERS])
def test_models_of_other_kinds_are_refused(task: Any) -> None:
    params = task.params(data_path="d")
    task.check_model(params, FACTS)
    for kind, words in (("vit", "has no head to tell"), ("tapas", "it reads tables")):
        with pytest.raises(BadConfig, match=words) as wrong:
            task.check_model(params, ModelFacts("ann/x", 1, config={"model_type": kind}))
        assert wrong.value.fix.startswith("--model")


def test_memory_and_work_follow_the_texts() -> None:
    params = CLASSES.params(data_path="d", batch_size=8)
    data = DataReport(rows=1000, valid_rows=0, tokens=100_000, steps=375, longest=100)
    # 85.1 M weights, and 12 layers that compare 100 tokens twice; 3 epochs, there and back
    expected = 2 * 3 * 300_000 * (85.1e6 + 2 * 12 * 100 * 768)
    assert CLASSES.flops(params, FACTS, data) == pytest.approx(expected, rel=0.02)
    short, whole = (
        CLASSES.footprint(params, FACTS, DataReport(longest=n)).expected for n in (16, 0)
    )
    assert 1e9 < short < whole < 4e9
    adapter = CLASSES.params(data_path="d", batch_size=8, peft=True)
    assert CLASSES.footprint(adapter, FACTS, data).expected < short


def test_defaults_are_those_of_autotrain() -> None:
    params = CLASSES.params(data_path="d")
    assert (params.peak_lr, params.epochs, params.batch_size) == (5e-5, 3, 8)
    assert (params.gradient_accumulation, params.max_seq_length) == (1, 128)
    assert (params.early_stopping_patience, params.early_stopping_threshold) == (5, 0.01)


def test_the_check_loads_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "numpy", "datasets")
    code = (
        "import sys, worker.tasks.text_classification, worker.tasks.text_regression;"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
