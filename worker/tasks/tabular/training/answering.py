"""Asks a trained model about rows of which nobody has told it anything."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from worker.contract import DataRef, ModelRef
from worker.errors import BadConfig, BadData
from worker.exchange import Answering
from worker.hubclient import explained, hub
from worker.reading import load as load_rows
from worker.shorten import some
from worker.tasks.tabular.columns import Kind
from worker.tasks.tabular.params import Question
from worker.tasks.tabular.table import prepared
from worker.tasks.tabular.training.frames import frame
from worker.tasks.tabular.training.saved import CONFIG_FILE, MODEL_FILE, load

ROWS = """--rows '[{"column": "value"}]'"""
"""What to type for rows that stand in the command itself."""


def answer(model: str, question: Question) -> list[dict[str, Any]]:
    """Return what is told of each row. Raises `HubtrainError`.

    A class with how probable each is, as `class` and `probabilities`, or a number as `value`. Of
    several targets these stand under the name of each.
    """
    return _told(model, *load(_folder(model)), _rows(question))


def answering(model: str, question: Question, together: int) -> Answering:
    """Return the model, which tells `[{"label", "score"}, …]` of a row, or its number.

    Of several targets it tells all that `answer` does.
    """
    fitted, told = load(_folder(model))

    def answered(questions: Sequence[Question]) -> Iterator[Any]:
        rows = [_parsed(one.rows or "") for one in questions]
        said = iter(_told(model, fitted, told, list(chain(*rows))))
        for asked in rows:
            each = [_plain(next(said)) for _ in asked]
            yield each[0] if len(each) == 1 else each

    return answered


def _plain(said: dict[str, Any]) -> Any:
    """Return what is told of a row in the shape that all tasks have for it."""
    if "probabilities" in said:
        labels = [{"label": one, "score": sure} for one, sure in said["probabilities"].items()]
        return sorted(labels, key=lambda one: -float(one["score"]))
    return said["value"] if set(said) == {"value"} else said


def _told(
    model: str, fitted: Any, told: dict[str, Any], rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    kinds: list[tuple[str, Kind]] = list(told["columns"].items())
    there = {name for row in rows for name in row}
    if lacking := [name for name, _ in kinds if name not in there]:
        raise BadData(f"the rows lack columns that {model} was trained on: {some(lacking)}.")
    cells = {name: [row.get(name) for row in rows] for name, _ in kinds}
    table = frame(kinds, prepared(kinds, cells))
    each = dict(_answers(fitted, table, told["targets"], numbers=not told["classes"]))
    if len(each) == 1:
        return next(iter(each.values()))
    return [dict(zip(each, row, strict=True)) for row in zip(*each.values(), strict=True)]


def _answers(
    fitted: Any, table: Any, targets: Sequence[str], *, numbers: bool
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield each target with what is told of all rows."""
    if numbers:
        said = fitted.predict(table).reshape(len(table), len(targets))
        for i, name in enumerate(targets):
            yield name, [{"value": float(f"{one:.9g}")} for one in said[:, i]]
        return
    sure, classes = fitted.predict_proba(table), fitted.classes_
    if len(targets) == 1:
        sure, classes = [sure], [classes]
    for name, one, known in zip(targets, sure, classes, strict=True):
        yield name, _likely(one, list(map(str, known)))


def _likely(sure: Any, classes: Sequence[str]) -> list[dict[str, Any]]:
    best, rounded = sure.argmax(axis=1).tolist(), sure.astype(float).round(6).tolist()
    return [
        {"class": classes[most], "probabilities": dict(zip(classes, row, strict=True))}
        for most, row in zip(best, rounded, strict=True)
    ]


def _rows(question: Question) -> list[dict[str, Any]]:
    if question.rows:
        return _parsed(question.rows)
    if not question.data_path:
        raise BadConfig("--inference needs rows to answer.", fix="--data-path rows.csv")
    path = Path(question.data_path).expanduser()
    if not path.is_file():
        raise BadData(f"no file {question.data_path}.", fix="--data-path rows.csv")
    file = DataRef(folder=str(path.parent.absolute()), train=(path.name,))
    return [dict(row) for _, row in load_rows(file)["train"].rows]


def _parsed(text: str) -> list[dict[str, Any]]:
    try:
        said = json.loads(text)
    except ValueError as error:
        raise BadConfig(f"--rows is not JSON: {error}", fix=ROWS) from error
    rows = said if isinstance(said, list) else [said]
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise BadConfig("--rows is to be one JSON object, or a list of them.", fix=ROWS)
    return rows


def _folder(model: str) -> Path:
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    api, ref = hub(os.environ.get("HF_TOKEN")), ModelRef.named(model)
    with explained(f"reading {model}"):
        api.hf_hub_download(ref.name, MODEL_FILE, revision=ref.revision)
        return Path(api.hf_hub_download(ref.name, CONFIG_FILE, revision=ref.revision)).parent
