"""Every task by the names that AutoTrain has for it, and a file of each in its dialect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.settings.files import read as read_config
from orchestrator.settings.gather import gather, task_of, task_of_file
from worker import tasks
from worker.errors import BadConfig

FILES = sorted((Path(__file__).parent / "autotrain" / "tasks").glob("*.yml"))

SENTENCES = ("pair", "pair_class", "pair_score", "triplet", "qa")
NAMES: dict[str, dict[str, dict[str, str]]] = {
    "text_classification": {
        "text_classification": {},
        "text-binary-classification": {},
        "text_multi_class_classification": {},
    },
    "text_regression": {"text-regression": {}, "text_single_column_regression": {}},
    "token_classification": {"token_classification": {}, "text_token_classification": {}},
    "extractive_qa": {
        "extractive-qa": {},
        "ext-qa": {},
        "ext_qa": {},
        "extractive_question_answering": {},
        "text_extractive_question_answering": {},
    },
    "seq2seq": {"seq2seq": {}},
    "sentence_transformers": {
        f"{stem}:{kind}": {"trainer": kind}
        for stem in ("st", "sentence-transformers")
        for kind in SENTENCES
    },
    "image_classification": {
        "image_classification": {},
        "image-binary-classification": {},
        "image_multi_class_classification": {},
    },
    "image_regression": {
        "image-regression": {},
        "image_single_column_regression": {},
        "image-scoring": {},
    },
    "object_detection": {"object_detection": {}, "image-object-detection": {}},
    "vlm": {"vlm:captioning": {"trainer": "captioning"}, "vlm:vqa": {"trainer": "vqa"}},
    "tabular": {"tabular": {}, "tabular:regression": {"task": "regression"}},
}
"""Task to its names in AutoTrain's files and app, each with the settings that it means."""

FLAT = [(task, name, meant) for task, names in NAMES.items() for name, meant in names.items()]


@pytest.mark.parametrize(("task", "name", "meant"), FLAT)
def test_a_task_is_found_by_its_names_or_said_to_be_missing(
    task: str, name: str, meant: dict[str, str]
) -> None:
    if task not in tasks.names():
        with pytest.raises(BadConfig, match="is not there yet"):
            task_of(name)
        return
    found, settings = task_of(name)
    spelled = {key: str(value).replace("-", "_") for key, value in settings.items()}
    assert (found.name, {key: spelled.get(key) for key in meant}) == (task, meant)


def said_in(file: Path) -> dict[str, Any]:
    """Return the settings of a file, by the names that AutoTrain has for them."""
    job = yaml.safe_load(file.read_text(encoding="utf-8"))
    data = job["data"]
    found = {**job["params"], **data["column_mapping"], "model": job["base_model"]}
    named = {"data_path": "path", "train_split": "train_split", "valid_split": "valid_split"}
    found |= {ours: data[name] for ours, name in named.items() if data[name] is not None}
    return {key: value for key, value in found.items() if value is not None}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.stem))
def test_each_setting_of_a_file_is_meant(file: Path) -> None:
    if file.stem not in tasks.names():
        with pytest.raises(BadConfig, match="is not there yet"):
            task_of_file(read_config(str(file)))
        return
    config = read_config(str(file))
    task, extra = task_of_file(config)
    settings = gather(task, config, extra, lambda: ["ann"], environ={})
    params = settings.of(task.params)
    catalog = settings.catalog
    for key, value in said_in(file).items():
        name = catalog.keys[key]
        if name in task.ignored.model_fields:
            continue
        told = getattr(params, name)
        assert told == _meant(value, told), f"{key} of {file.name}"
    assert {note.split()[1] for note in settings.notes} <= set(task.ignored.model_fields)


def _meant(value: Any, told: Any) -> Any:
    """Return a value of YAML, which takes `3e-5` for a text, as what it is."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    if value == "none" and told is None:
        return None
    return type(told)(value) if isinstance(told, float) else value
