"""Tables: what the check says of them, and a training from the command to a model that loads."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from standins.laptop import Laptop

import hubtrain
from backends.errors import PlanRefused
from backends.image import TORCH_FILE, image_files, torch_in
from backends.local import Local
from backends.local.request import LocalRequest
from orchestrator import flow
from orchestrator.jobs.client import Client
from orchestrator.settings.files import read as read_config
from orchestrator.settings.gather import gather
from orchestrator.settings.layers import FLAGS
from orchestrator.terminal import inference
from orchestrator.terminal.desk import Desk
from worker import tasks
from worker.contract import JobSpec
from worker.errors import BadConfig, BadData, HubtrainError
from worker.splits import Split
from worker.task import NO_MODEL, DataReport
from worker.tasks.tabular.cost import OPERATIONS, OVERHEAD_SECONDS, operations
from worker.tasks.tabular.params import Question, TabularParams

TASK = tasks.load("tabular")
MARGIN = 0.2
"""By how much a model has to be right more often than one that always says the commonest class."""


def cells(path: Path) -> list[dict[str, Any]]:
    """Write scikit-learn's breast cancer data as people's CSVs are: gaps, categories, notes."""
    from sklearn.datasets import load_breast_cancer

    data, chance = load_breast_cancer(), random.Random(1)
    names = [name.replace(" ", "_") for name in data.feature_names[:6]]
    rows: list[dict[str, Any]] = []
    for number, (values, label) in enumerate(zip(data.data, data.target, strict=True)):
        said = {n: round(float(v), 4) for n, v in zip(names, values, strict=False)}
        row = {"id": number, "note": f"note {number}", **said}
        row["clinic"] = chance.choice(["north", "south", "east", ""])
        row[names[0]] = "" if chance.random() < 0.1 else row[names[0]]
        row |= {"same": "yes", "empty": "", "kind": str(data.target_names[label])}
        rows.append(row)
    write(path, rows)
    return rows


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    listed = list(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(listed[0]))
        writer.writeheader()
        writer.writerows(listed)


def split(rows: list[dict[str, Any]], source: str = "x.csv") -> Split:
    return Split(source, tuple(rows[0]), list(enumerate(rows, 2)), len(rows))


def inspect(
    rows: list[dict[str, Any]], valid: list[dict[str, Any]] | None = None, **settings: Any
) -> DataReport:
    params = TASK.params(**{"data_path": "x.csv", "target_columns": "y", **settings})
    splits = {"train": split(rows)} | ({"valid": split(valid, "v.csv")} if valid else {})
    return TASK.inspect(params, splits, NO_MODEL, None)


def some(n: int = 40, **more: Any) -> list[dict[str, Any]]:
    chance = random.Random(0)
    return [{"a": chance.random(), "y": "ny"[i % 2], **more} for i in range(n)]


def warnings(report: DataReport) -> str:
    return "\n".join(f"{f.text} {f.fix}" for f in report.findings if f.level == "warn")


def test_bad_tables_are_refused_in_words() -> None:
    with pytest.raises(BadData, match=r'no column "z" in x\.csv; it has: a, y'):
        inspect(some(), target_columns="z")
    with pytest.raises(BadData, match="says n in every row"):
        inspect([{**row, "y": "n"} for row in some()])
    with pytest.raises(BadData, match="has 2 rows with a class: too few"):
        inspect(some(2))
    with pytest.raises(BadData, match="a class that no training row has: new"):
        inspect(some(), [*some(3), {"a": 1.0, "y": "new"}])
    with pytest.raises(BadData, match=r"no column to learn y from\. a: it is empty"):
        inspect([{"a": None, "y": row["y"]} for row in some()])
    with pytest.raises(BadData, match=r"v\.csv lacks columns that x\.csv has: a"):
        inspect(some(), [{"y": "n"}, {"y": "y"}])
    with pytest.raises(BadData, match="a quantity and no class") as quantity:
        inspect([{"a": i, "y": i + 0.5} for i in range(40)])
    assert quantity.value.fix.startswith("--task regression")
    with pytest.raises(BadData, match='that are none: line 2 "n", line 3 "y"'):
        inspect(some(), task="regression")
    with pytest.raises(BadData, match=r'"b" of x\.csv says 1 in every row'):
        inspect(some(b=1), target_columns=["y", "b"])
    with pytest.raises(ValueError, match="lasso does no classification; these do: xgboost"):
        inspect(some(), model="lasso")
    with pytest.raises(BadData, match="svm needs 4 rows of each class"):
        inspect([*some(), {"a": 1.0, "y": "rare"}], model="svm")


def test_columns_that_cannot_be_learned_from_are_named_and_left_out() -> None:
    rows = [
        {**row, "id": i, "row": i, "note": f"note {i}", "day": f"2024-01-{i % 28 + 1:02}"}
        | {"same": "yes", "empty": "", "code": {"n": 0, "y": 1}[row["y"]]}
        | {"age": "young" if i == 7 else i % 50, "city": "ab"[i % 3 == 0]}
        | {"wild": "inf" if i % 5 == 0 else i * 1.5, "price": f"1,{100 + i * 7}"}
        for i, row in enumerate(some())
    ]
    report = inspect([*rows, {**rows[0], "y": None, "row": 40}])
    said = warnings(report)
    assert '"id" is left out: it names the rows' in said
    assert '"row" is left out: it counts the rows --numerical-columns row' in said
    assert '"note" is left out: it says something else in nearly every row' in said
    assert "--text-columns note takes it all the same" in said
    assert '"wild" is left out: 8 of its 40 cells are no numbers, such as "inf"' in said
    assert "--numerical-columns wild takes it all the same" in said
    assert '"price" is left out: its numbers have commas in them, such as "1,100"' in said
    assert "day" not in said, "dates are learned from"
    assert '"same" is left out: it always says yes' in said
    assert '"empty" is left out: it is empty' in said
    assert '"code" alone tells "y" in every row' in said and "--drop-columns code" in said
    assert '"age" is taken for numbers and has 1 cell that is none: "young"' in said
    assert '1 row has no "y" and will be left out: lines 42' in said
    assert (report.rows, report.valid_rows) == (32, 8)


def test_unequal_and_rare_classes_are_said() -> None:
    rows = [{"a": i % 7, "y": "fraud" if i == 3 else "fine"} for i in range(100)]
    said = warnings(inspect(rows))
    assert "fewer than 5 rows of 1 class: fraud 1" in said
    assert "no row is left to judge by of fraud" in said
    rows = [{"a": i % 7, "y": "fraud" if i % 20 == 3 else "fine"} for i in range(200)]
    assert '"fine" has 19 times as many rows as "fraud"' in warnings(inspect(rows))


def test_a_file_as_autotrain_had_it(tmp_path: Path) -> None:
    path = tmp_path / "x.yml"
    path.write_text(
        "task: tabular\nbase_model: random_forest\nproject_name: x\nlog: tensorboard\n"
        "backend: local\ndata:\n  path: d/\n  train_split: train\n  valid_split: null\n"
        "  column_mapping:\n    id_column: id\n    target_columns:\n      - kind\n"
        "params:\n  task: classification\n  num_trials: 3\n"
    )
    file = read_config(str(path))
    assert file.task == "tabular"
    values = file.layer({}).values
    assert (values["task"], values["model"]) == ("classification", "random_forest")
    named = ("data_path", "target_columns", "model", "task", "num_trials", "valid_split")
    params = TASK.params(**{name: values[name] for name in named})
    assert (params.target_columns, params.num_trials) == ("kind", 3)


def test_the_image_has_no_torch() -> None:
    files = {path: content.decode() for path, content in image_files(TASK.extras, 0).items()}
    needed = files["requirements.txt"].splitlines()
    assert any(one.startswith("scikit-learn") for one in needed)
    assert any(one.startswith("xgboost-cpu") for one in needed)
    assert not any(one.startswith(("torch", "transformers", "accelerate")) for one in needed)
    assert torch_in(files[TORCH_FILE]) is None


def test_a_table_of_many_classes_takes_longer_where_each_has_a_model_of_its_own() -> None:
    data = DataReport(rows=1000, units=20_000, classes=2)
    for name, more in {"xgboost": 5, "svm": 5, "random_forest": 1}.items():
        params = TabularParams(data_path="x", model=cast(Any, name), num_trials=1)
        few, many = (operations(params, replace(data, classes=n)) for n in (2, 10))
        own = OVERHEAD_SECONDS * OPERATIONS * 6  # five folds and the last fit
        assert (many - own) / (few - own) == pytest.approx(more)


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_a_table_becomes_a_model_on_the_hub(hub_server: Any, tmp_path: Path) -> None:
    rows = cells(tmp_path / "cells.csv")
    laptop = Laptop(tmp_path / "home", hub_server())
    said = laptop.run(
        *("tabular", "--train", "--task", "classification", "--data-path", "cells.csv"),
        *("--target-columns", "kind", "--model", "logistic_regression", "--num-trials", "2"),
        *("--backend", "spaces-cpu", "--project-name", "cells", "--username", "ann"),
        *("--push-to-hub", "--json"),
    )
    assert said.code == 0, said.err + said.out
    api = laptop.hub.api()
    card = api.hf_hub_download("ann/cells", "README.md", cache_dir=tmp_path / "card")
    text = Path(card).read_text(encoding="utf-8")
    assert "library_name: sklearn" in text and "pipeline_tag: tabular-classification" in text
    assert "base_model" not in text and "skops.io.load" in text
    (space,) = [one.id for one in api.list_spaces(author="ann")]
    requirements = api.hf_hub_download(space, "requirements.txt", repo_type="space")
    assert "torch" not in Path(requirements).read_text(encoding="utf-8")
    folder = api.snapshot_download("ann/cells", local_dir=tmp_path / "model")
    assert _right(folder, tmp_path / "cells.csv") >= 0.63 + MARGIN
    write(tmp_path / "new.csv", [{k: v for k, v in r.items() if k != "kind"} for r in rows[:3]])
    answered = laptop.run(
        *("tabular", "--inference", "--model", "ann/cells", "--data-path", "new.csv", "--json")
    )
    assert answered.code == 0, answered.err
    assert [one["class"] for one in answered.document["answer"]] == ["malignant"] * 3


def _right(folder: str, data: Path) -> float:
    """Return the share of rows that the model is right about, in a Python without hubtrain."""
    code = (
        "import json, sys, pathlib, pandas, skops.io\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "told = json.loads((folder / 'config.json').read_text())['hubtrain']\n"
        "model = skops.io.load(folder / 'model.skops', trusted=told['trusted'])\n"
        "rows = pandas.read_csv(sys.argv[2])\n"
        "print((model.predict(rows) == rows.kind).mean())\n"
        "assert 'worker' not in sys.modules\n"
    )
    out = subprocess.check_output([sys.executable, "-I", "-c", code, folder, str(data)], text=True)
    return float(out.splitlines()[-1])


def test_hardware_with_a_gpu_is_refused(hub_server: Any, tmp_path: Path) -> None:
    write(tmp_path / "x.csv", some())
    laptop = Laptop(tmp_path / "home", hub_server())
    said = laptop.run(
        *("tabular", "--train", "--data-path", "x.csv", "--target-columns", "y", "--push-to-hub"),
        *("--backend", "spaces-t4", "--project-name", "x", "--username", "ann"),
    )
    assert said.code == 2
    assert "tabular trains on the CPU alone" in said.out + said.err


class Full(Local):
    """A machine that has no room for anything."""

    def plan(self, job: JobSpec) -> LocalRequest:
        """Refuse every job."""
        raise PlanRefused(f"There is no room for {job.project}.", fix="--backend spaces-cpu")


def test_what_the_provider_cannot_do_is_said_before_the_data_are_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_TOKEN", "")
    write(tmp_path / "x.csv", some())
    given = {"data_path": str(tmp_path / "x.csv"), "target_columns": "y", "project_name": "full"}
    client = Client()
    asked = flow.ask(client, TASK, gather(TASK, None, given, list, source=FLAGS))
    assert isinstance(flow.check(client, asked), flow.Checked)
    refused = flow.check(client, replace(asked, backend=Full()))
    assert isinstance(refused, flow.Refused) and not refused.report.ok
    (wrong,) = [f for f in refused.new if f.level == "error"]
    assert (wrong.topic, wrong.text) == ("backend", "There is no room for full.")
    assert wrong.fix == "--backend spaces-cpu"


@pytest.mark.parametrize(
    ("megabytes", "message"),
    [
        (None, "damaged and cannot be read as a model"),
        (0, "damaged and cannot be read as a model"),
        (70, "is not loaded: it unpacks"),
        (-1, "there is no model.skops in "),
    ],
)
def test_a_file_that_is_no_model_is_not_loaded(
    tmp_path: Path, megabytes: int | None, message: str
) -> None:
    told = {"hubtrain": {"columns": {"a": "number"}, "targets": ["y"], "classes": {"y": ["x"]}}}
    (tmp_path / "config.json").write_text(json.dumps(told))
    file = tmp_path / "model.skops"
    if megabytes is None:
        file.write_text("no zip")
    elif megabytes >= 0:
        with (
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open("schema.json", "w", force_zip64=True) as schema,
        ):
            for _ in range(megabytes):
                schema.write(b" " * (1 << 20))
    with pytest.raises(BadConfig, match=message) as refused:
        TASK.answer(str(tmp_path), Question(rows='{"a": 1}'))
    assert refused.value.fix.startswith("--model with a folder or repo")


@pytest.mark.parametrize(
    ("held", "message"),
    [(os.system, "wants types that no model"), ({"a": 1}, "it holds a dict")],
)
def test_a_file_that_holds_something_else_is_not_loaded(
    tmp_path: Path, held: Any, message: str
) -> None:
    """What its `config.json` calls trusted does not make it so."""
    import skops.io

    told = {"columns": {"a": "number"}, "targets": ["y"], "classes": {"y": ["x"]}}
    trusting = {"hubtrain": {**told, "trusted": ["posix.system"]}}
    (tmp_path / "config.json").write_text(json.dumps(trusting))
    skops.io.dump(held, tmp_path / "model.skops")
    with pytest.raises(BadConfig, match=message):
        TASK.answer(str(tmp_path), Question(rows='{"a": 1}'))


def test_who_answers_ends_with_who_asked(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.json")  # to read it takes for ever
    command = [sys.executable, "-P", "-m", "worker.answering", "tabular"]
    asked = {"model": str(tmp_path), "question": {"rows": '{"a": 1}'}}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(asked).encode() + b"\n")
        process.stdin.flush()
        with (tmp_path / "config.json").open("w"):  # opens once it is being read
            process.stdin.close()
            assert process.wait(60) == 1


def test_an_answer_that_takes_too_long_is_not_waited_for(tmp_path: Path) -> None:
    told = {"columns": {"a": "number"}, "targets": ["y"], "classes": {"y": ["x"]}}
    (tmp_path / "config.json").write_text(json.dumps({"hubtrain": told}))
    os.mkfifo(tmp_path / "model.skops")  # to read it takes for ever
    asked = {"model": str(tmp_path), "rows": '{"a": 1}'}
    settings = gather(TASK, None, asked, list, source=FLAGS)
    with pytest.raises(HubtrainError, match=r"no answer in 0\.5 s: stopped"):
        inference.answer(Desk(as_json=True), TASK, settings, seconds=0.5)


def test_a_name_with_a_line_break_makes_no_line_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path / "home"))
    with (tmp_path / "x.csv").open("w", newline="") as file:
        forged: list[list[Any]] = [
            ["a\n  ✗ forged", "y"],
            *([i * 1.5, "uv"[i % 2]] for i in range(40)),
        ]
        csv.writer(file).writerows(forged)
    data = str(tmp_path / "x.csv")
    for target in ("y", "z"):
        report = hubtrain.check("tabular", data_path=data, target_columns=target, project_name="x")
        assert any("forged" in finding.text for finding in report.findings)
        assert not any("\n" in finding.text + finding.fix for finding in report.findings)
