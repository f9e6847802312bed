"""Tasks on texts and images in two processes: they learn and measure what one process does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tiny_bert
import tiny_reader
import tiny_t5
import tiny_text
import tiny_vit
from standins.together import TWO, curve, together
from test_image_regression import rows as greys
from tiny_llm import write_rows

from worker.contract import Event, JobSpec, Machine
from worker.evaluation_plots import JUDGED_FILE
from worker.task import Run
from worker.tasks import load
from worker.tasks.image_regression import TASK as NUMBERS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are ended as on Linux"),
]

Job = tuple[Any, Run, list[Event]]
CALM: dict[str, Any] = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def texts(task: str, folder: Path, *, column: str, **how: Any) -> Job:
    model = tiny_bert.write_model(folder / "bert", **CALM)
    data = tiny_text.write_rows(folder / "rows" / "train.jsonl", tiny_text.rows(41))
    valid = tiny_text.write_rows(data.parent / "valid.jsonl", tiny_text.rows(21, first=900))
    how |= {"target_column": column}
    return tiny_text.job(load(task), model, data, folder, valid=valid, **how)


def readers(task: str, folder: Path, rows: list[Any], valid: list[Any], **how: Any) -> Job:
    model = tiny_reader.write_model(folder / "bert")
    return tiny_reader.job(load(task), model, rows, folder, valid=valid, save_strategy="no", **how)


def tags(folder: Path, **how: Any) -> Job:
    rows, valid = tiny_reader.sentences(40, most=3), tiny_reader.sentences(19, 1, most=3)
    return readers("token_classification", folder, rows, valid, **how)


def answers(folder: Path, **how: Any) -> Job:
    """Validation rows fill their batches: a model looks for answers in padding as well."""
    rows, valid = (tiny_reader.questions(n, n, unanswerable=True) for n in (40, 24))
    return readers("extractive_qa", folder, rows, valid, **how)


def writing(folder: Path, **how: Any) -> Job:
    model = tiny_t5.write_model(folder / "t5")
    data = write_rows(folder / "train.jsonl", tiny_t5.rows(40))
    valid = write_rows(folder / "valid.jsonl", tiny_t5.rows(11, 1))
    return tiny_t5.job(model, data, folder, valid=valid, save_strategy="no", **how)


def colours(folder: Path, **how: Any) -> Job:
    model = tiny_vit.write_model(folder / "vit")
    data = tiny_vit.write_table(folder / "train.parquet", 16)
    valid = tiny_vit.write_table(folder / "valid.parquet", 7, 100)
    return tiny_vit.job(model, data, folder, valid=valid, save_strategy="no", **how)


def brightness(folder: Path, **how: Any) -> Job:
    model = tiny_vit.write_model(folder / "vit")
    data = tiny_vit.write_rows(folder / "train.parquet", greys(40))
    valid = tiny_vit.write_rows(folder / "valid.parquet", greys(13, 500))
    how |= {"task": NUMBERS, "save_strategy": "no"}
    return tiny_vit.job(model, data, folder, valid=valid, **how)


CASES: dict[str, tuple[str, Callable[..., Job]]] = {
    "classes": ("text_classification", partial(texts, "text_classification", column="label")),
    "several": ("text_classification", partial(texts, "text_classification", column="animals")),
    "numbers": ("text_regression", partial(texts, "text_regression", column="count")),
    "tags": ("token_classification", tags),
    "answers": ("extractive_qa", answers),
    "writing": ("seq2seq", writing),
    "images": ("image_classification", colours),
    "numbers-of-images": ("image_regression", brightness),
}


@pytest.mark.parametrize(
    "case",
    [
        case if case == "classes" else pytest.param(case, marks=pytest.mark.campaign)
        for case in CASES
    ],
)
def test_two_processes_learn_and_measure_what_one_does(case: str, tmp_path: Path) -> None:
    name, made = CASES[case]
    task = load(name)
    how: dict[str, Any] = {"batch_size": 4, "gradient_accumulation": 2, "logging_steps": 1}
    params, run, one = made(tmp_path / "one", **how, epochs=2)
    assert task.trains_together(params)
    task.train(params, run)
    spec = JobSpec(
        job_id="k4x",
        project="several",
        task=name,
        params=params.model_dump(mode="json"),
        model=run.model,
        data=run.data,
        machine=Machine(backend="local"),
        parallel=TWO,
    )
    two = together(spec, tmp_path / "two")
    for measure in ("loss", "valid_loss", "grad_norm", *(m.name for m in task.measures(params))):
        expected = curve(one, measure)
        assert curve(two, measure) == pytest.approx(expected, abs=1e-3, rel=1e-3), measure
        assert expected or measure not in ("loss", "valid_loss")
    if (run.output / JUDGED_FILE).exists():
        assert (tmp_path / "two" / "output" / JUDGED_FILE).is_file()
