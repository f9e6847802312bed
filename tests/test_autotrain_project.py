"""AutoTrain's Python classes, as its scripts use them: from settings to the pushed model."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from standins.laptop import Laptop
from standins.localhub import HubServer

import hubtrain
from hubtrain import autotrain
from hubtrain._project import TrainingParams
from orchestrator.settings.gather import task_of

SCRIPT = """
import os
from hubtrain.autotrain import AutoTrainProject, TabularParams

params = TabularParams(
    model="random_forest",
    task="classification",
    data_path="ann/fruit",
    train_split="train",
    target_columns=["fruit"],
    num_trials=1,
    project_name="old",
    username="ann",
    token=os.environ.pop("HF_TOKEN"),
    push_to_hub=True,
)
assert "hf_" not in repr(params)
job_id = AutoTrainProject(params=params, backend="spaces-cpu-basic", process=True).create()

import hubtrain
job = hubtrain.job(job_id, token=params._token)
print(job.result())
apple = {"grams": 174, "colour": "green", "smoothness": 0.69}
for answer in job.ask([apple, apple | {"grams": 40}]):
    print(sorted(one["label"] for one in answer))
try:
    job.ask({"weight": 3})
except hubtrain.BadConfig as error:
    print(error)
"""


@pytest.mark.slow
def test_a_script_of_autotrains_trains_and_pushes(shared_hub: HubServer, tmp_path: Path) -> None:
    api, laptop = shared_hub.api(), Laptop(tmp_path / "home", shared_hub)
    (_, data) = hubtrain.init("tabular", tmp_path / "sample")
    api.create_repo("ann/fruit", repo_type="dataset")
    api.upload_file(
        repo_id="ann/fruit", repo_type="dataset", path_or_fileobj=data, path_in_repo="train.csv"
    )
    told = subprocess.run(
        [sys.executable, "-P", "-c", SCRIPT],
        env=laptop.environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    model, apple, other, refused = told.stdout.splitlines()
    assert model == "ann/old" and apple == other and "'apple'" in apple
    assert "is a dict by names: grams, colour, smoothness" in refused
    assert "README.md" in api.list_repo_files("ann/old")


def test_its_classes_mean_tasks_and_say_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path))
    monkeypatch.setenv("HF_TOKEN", "")
    kinds = [
        kind
        for _, kind in inspect.getmembers(autotrain, inspect.isclass)
        if issubclass(kind, TrainingParams) and kind is not TrainingParams
    ]
    tasks = {task_of(kind.task, "the task")[0].name for kind in kinds}
    assert len(tasks) == len(kinds) == 12
    params = autotrain.LLMTrainingParams(model="m", data_path="d", batch_sise=2)
    with pytest.raises(hubtrain.BadConfig, match="arguments: no setting 'batch_sise'"):
        autotrain.AutoTrainProject(params, "local").create()
