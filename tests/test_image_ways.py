"""Images as AutoTrain's users have them, with the files they wrote: each way is checked, packed."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from standins.localhub import HubServer
from tiny_vit import COLOURS, image, write_folders, write_model, write_table

from backends.base import silent
from orchestrator import flow
from orchestrator.job_request import packed
from orchestrator.jobs.client import Client
from orchestrator.plan import Plan
from orchestrator.settings.files import read as read_config
from orchestrator.settings.gather import gather, task_of
from worker.contract import Metric, Progress
from worker.task import Run
from worker.tasks.image_classification import TASK

EACH = 6
NAMES = [(colour, number) for number in range(EACH) for colour in COLOURS]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("vit"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config(file: Path, model: Path | str, data: dict[str, Any], **more: Any) -> Path:
    """Write a job as AutoTrain's own examples are written."""
    said = {
        "task": "image_classification",
        "base_model": str(model),
        "project_name": "told-apart",
        "log": "none",
        "backend": "local",
        "data": {
            "train_split": "train",
            "valid_split": None,
            "column_mapping": {"image_column": "image", "target_column": "label"},
            **data,
        },
        "params": {"epochs": 2, "batch_size": 4, "lr": "2e-5", "gradient_accumulation": 1},
        **more,
    }
    file.write_text(yaml.safe_dump(said))
    return file


def planned(file: Path, token: str | None = None) -> tuple[flow.Checked, Plan]:
    """Return the job of a file as it is checked and planned, its data packed."""
    client, said = Client(given_token=token), read_config(str(file))
    task, extra = task_of(said.task)
    asked = flow.ask(client, task, gather(task, said, extra, lambda: ["ann"]))
    checked = flow.check(client, asked)
    assert isinstance(checked, flow.Checked), checked.report.findings
    plan = flow.plan(client, checked)
    assert isinstance(plan, flow.Planned)
    return checked, plan.plan


def findings(checked: flow.Checked) -> str:
    return "\n".join(finding.text for finding in checked.report.findings)


def write_rows(folder: Path, name: str) -> None:
    """Write images into a folder `photos`, and beside it a list that names them."""
    (folder / "photos").mkdir(parents=True)
    rows = []
    for colour, number in NAMES:
        path = f"photos/{colour}-{number}.png"
        (folder / path).write_bytes(image(colour, number))
        rows.append({"file_name": path, "label": colour})
    with (folder / name).open("w", newline="") as file:
        if name.endswith(".jsonl"):
            file.writelines(json.dumps(row) + "\n" for row in rows)
            return
        writer = csv.DictWriter(file, ["file_name", "label"])
        writer.writeheader()
        writer.writerows(rows)


def zipped(folder: Path, file: Path) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder.parent))
    return file


def folder_per_class(here: Path) -> dict[str, Any]:
    return {"path": str(write_folders(here / "colours", EACH))}


def folders_per_split(here: Path) -> dict[str, Any]:
    write_folders(here / "data" / "train", EACH)
    write_folders(here / "data" / "validation", 2, first=100)
    return {"path": "data/", "valid_split": "validation"}


def zip_of_folders(here: Path) -> dict[str, Any]:
    return {"path": str(zipped(write_folders(here / "colours", EACH), here / "colours.zip"))}


def zip_with_a_list(here: Path) -> dict[str, Any]:
    write_rows(here / "album", "metadata.jsonl")
    return {"path": str(zipped(here / "album", here / "album.zip"))}


def table_of_paths(here: Path) -> dict[str, Any]:
    write_rows(here / "album", "colours.csv")
    mapping = {"image_column": "file_name", "target_column": "label"}
    return {"path": str(here / "album" / "colours.csv"), "column_mapping": mapping}


def table_of_images(here: Path) -> dict[str, Any]:
    return {"path": str(write_table(here / "colours.parquet", EACH))}


WAYS = [
    folder_per_class,
    folders_per_split,
    zip_of_folders,
    zip_with_a_list,
    table_of_paths,
    table_of_images,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_each_way_of_having_images_is_checked_and_packed(way: Any, here: Path, model: Path) -> None:
    data = way(here)
    checked, plan = planned(config(here / "job.yml", model, data))
    said = findings(checked)
    assert f"{3 * EACH} images in 3 classes: " in said and "a new head for 3 classes" in said
    assert f"{3 * EACH} images to learn from · 2 epochs, 4 a step: 10 steps" in said
    validated = data.get("valid_split") is not None
    assert ("6 for validation" in said) is validated
    assert ("nothing is held out" in said) is not validated
    assert plan.order.params["lr"] == 2e-5 and plan.order.data.rows == 3 * EACH
    assert plan.package.rows == 3 * EACH


@pytest.mark.parametrize(
    "task",
    [
        *("image-classification", "image_classification", "image-binary-classification"),
        *("image_multi_class_classification", "image:classification"),
    ],
)
def test_every_name_that_autotrain_had_for_it_is_known(task: str, here: Path, model: Path) -> None:
    file = config(here / "job.yml", model, table_of_images(here), task=task)
    said = read_config(str(file))
    assert task_of(said.task)[0].name == TASK.name


def test_images_of_the_hub_are_used_where_they_are(
    shared_hub: HubServer, here: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in shared_hub.env("ann").items():
        monkeypatch.setenv(name, value)
    api = shared_hub.api("ann")
    api.create_repo("ann/colours-data", repo_type="dataset")
    api.upload_file(
        repo_id="ann/colours-data",
        repo_type="dataset",
        path_in_repo="data/train-00000-of-00001.parquet",
        path_or_fileobj=str(write_table(here / "colours.parquet", EACH)),
    )
    api.create_repo("ann/tiny-vit")
    api.upload_folder(repo_id="ann/tiny-vit", folder_path=model)
    file = config(
        here / "job.yml",
        "ann/tiny-vit",
        {"path": "ann/colours-data", "valid_split": None},
        backend="spaces-t4-small",
        params={"epochs": 2, "batch_size": 4, "mixed_precision": "fp16"},
        hub={"username": "${HF_USERNAME}", "token": "${HF_TOKEN}", "push_to_hub": True},
    )
    monkeypatch.setenv("HF_USERNAME", "ann")
    checked, plan = planned(file, shared_hub.tokens["ann"])
    assert f"{3 * EACH} images in 3 classes" in findings(checked)
    assert plan.package.remote is not None, "nothing is packed again"
    assert plan.order.data.repo_id == "ann/colours-data" and plan.order.data.revision
    assert plan.order.push is not None and plan.order.push.repo_id == "ann/told-apart"


@pytest.mark.slow
def test_a_zip_with_a_list_is_trained_as_it_was_checked(here: Path, model: Path) -> None:
    checked, plan = planned(config(here / "job.yml", model, zip_with_a_list(here)))
    with packed(checked.asked, checked.report, silent) as job:
        data, _ = job.send(Client(), silent)
    assert data == plan.order.data
    events: list[Any] = []
    for name in ("out", "work"):
        (here / name).mkdir()
    run = Run(plan.order.model, data, here / "out", here / "work", events.append)
    TASK.train(checked.asked.params, run)
    assert json.loads((here / "out" / "config.json").read_text())["label2id"] == {
        colour: number for number, colour in enumerate(COLOURS)
    }
    assert [e.step for e in events if isinstance(e, Progress)][-1] == 10
    assert any("loss" in e.values for e in events if isinstance(e, Metric))
