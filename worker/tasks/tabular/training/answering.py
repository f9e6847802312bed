"""Asks a trained model about rows that nobody has told the class of."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from worker.contract import DataRef, ModelRef
from worker.errors import BadConfig, BadData
from worker.hubclient import explained, hub
from worker.reading import load as load_rows
from worker.shorten import some
from worker.tasks.tabular.columns import Kind
from worker.tasks.tabular.params import Question
from worker.tasks.tabular.table import prepared
from worker.tasks.tabular.training.saved import CONFIG_FILE, MODEL_FILE, frame, load


def answer(model: str, question: Question) -> list[dict[str, Any]]:
    """Return the class of each row, and how probable each class is. Raises `HubtrainError`."""
    rows = _rows(question)
    fitted, told = load(_folder(model))
    kinds: list[tuple[str, Kind]] = [(name, "number") for name in told["numbers"]]
    kinds += [(name, "category") for name in told["categories"]]
    there = {name for row in rows for name in row}
    if lacking := [name for name, _ in kinds if name not in there]:
        raise BadData(f"the rows lack columns that {model} was trained on: {some(lacking)}.")
    cells = {name: [row.get(name) for row in rows] for name, _ in kinds}
    table = frame(kinds, prepared(kinds, cells))
    probabilities = fitted.predict_proba(table)
    classes = [str(one) for one in fitted.classes_]
    return [
        {
            "class": classes[int(row.argmax())],
            "probabilities": {c: round(float(p), 6) for c, p in zip(classes, row, strict=True)},
        }
        for row in probabilities
    ]


def _rows(question: Question) -> list[dict[str, Any]]:
    if question.rows:
        return _parsed(question.rows)
    if not question.data_path:
        raise BadConfig("--inference needs rows to answer.", fix="--data-path rows.csv")
    path = Path(question.data_path).expanduser()
    if not path.is_file():
        raise BadData(f"no file {question.data_path}.")
    file = DataRef(folder=str(path.parent.absolute()), train=(path.name,))
    return [dict(row) for _, row in load_rows(file)["train"].rows]


def _parsed(text: str) -> list[dict[str, Any]]:
    try:
        said = json.loads(text)
    except ValueError as error:
        raise BadConfig(f"--rows is not JSON: {error}") from error
    rows = said if isinstance(said, list) else [said]
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise BadConfig("--rows is to be one JSON object, or a list of them.")
    return rows


def _folder(model: str) -> Path:
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    api, ref = hub(os.environ.get("HF_TOKEN")), ModelRef.named(model)
    with explained(f"reading {model}"):
        api.hf_hub_download(ref.name, MODEL_FILE, revision=ref.revision)
        return Path(api.hf_hub_download(ref.name, CONFIG_FILE, revision=ref.revision)).parent
