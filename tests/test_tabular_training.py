"""Tables that are learned: every model, days and texts, several targets, searches, pictures."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_table import TASK, measured, rows, trained, without, write

from worker import evaluation_plots
from worker.contract import Checkpoint, DataRef, Metric, Progress
from worker.reading import load
from worker.task import Run
from worker.tasks.tabular.columns import Column
from worker.tasks.tabular.dealing import folds, strata
from worker.tasks.tabular.estimators import ESTIMATORS, Name
from worker.tasks.tabular.params import Question, TabularParams
from worker.tasks.tabular.table import read
from worker.tasks.tabular.training.frames import Frame
from worker.tasks.tabular.training.scores import Judge
from worker.tasks.tabular.training.search import Search

pytestmark = pytest.mark.slow
NEVER = {"metres": None, "built": "long ago", "note": "", "agent": "agent 999", "heating": "wood"}
"""A flat of which hardly anything is known, and that with values never seen."""


@pytest.mark.parametrize("model", list(ESTIMATORS))
def test_every_model_learns_what_it_can(tmp_path: Path, model: Name) -> None:
    kind, ask = ESTIMATORS[model], Question(rows=json.dumps([NEVER, rows(1)[0]]))
    if kind.classes:
        found = measured(trained(tmp_path, "dear", model=model, num_trials=1))
        assert found["valid_accuracy"] >= 0.73, "always no is right of 0.54"
        assert {"valid_loss", "valid_auc", "valid_f1", "valid_precision"} <= set(found)
        assert (tmp_path / "out" / evaluation_plots.CURVE_FILE).is_file()
        odd, _ = TASK.answer(str(tmp_path / "out"), ask)
        assert odd["class"] in {"yes", "no"}
        assert sum(odd["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    if kind.numbers:
        how: dict[str, Any] = {"task": "regression", "name": "numbers", "num_trials": 1}
        found = measured(trained(tmp_path, "rent", model=model, **how))
        assert found["valid_r2"] >= 0.55
        assert found["valid_rmse"] == pytest.approx(found["valid_loss"])
        assert {"valid_mae", "valid_mse", "valid_rmsle"} <= set(found)
        odd, known = TASK.answer(str(tmp_path / "numbers"), ask)
        assert np.isfinite(odd["value"]) and abs(known["value"] - rows(1)[0]["rent"]) < 700


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_as_by_hand_with_the_same_rows_and_the_same_seed(tmp_path: Path, seed: int) -> None:
    """Of a table of numbers: what the libraries come to that are called without hubtrain."""
    from sklearn import datasets, linear_model, metrics, preprocessing
    from xgboost import XGBRegressor

    data = datasets.load_diabetes(as_frame=True).frame
    data.to_csv(tmp_path / "rows.csv", index=False)
    how: dict[str, Any] = {"seed": seed, "num_trials": 1, "id_column": None}
    ours = measured(trained(tmp_path, "target", task="regression", **how))
    learned, judging = parts(tmp_path, task="regression", seed=seed)
    usual = ESTIMATORS["xgboost"].usual
    model = XGBRegressor(random_state=seed, **usual).fit(learned.rows, learned.told["target"])
    said = model.predict(judging.rows)
    truth = judging.told["target"]
    assert ours["valid_rmse"] == pytest.approx(metrics.root_mean_squared_error(truth, said))
    assert ours["valid_r2"] == pytest.approx(metrics.r2_score(truth, said))

    data = datasets.load_breast_cancer(as_frame=True).frame
    data.to_csv(tmp_path / "rows.csv", index=False)
    ours = measured(trained(tmp_path, "target", model="logistic_regression", **how))
    learned, judging = parts(tmp_path, seed=seed)
    scaler = preprocessing.StandardScaler().fit(learned.rows)
    regression = linear_model.LogisticRegression(max_iter=1000, random_state=seed)
    regression.fit(scaler.transform(learned.rows), learned.told["target"])
    sure = regression.predict_proba(scaler.transform(judging.rows))
    labels = judging.told["target"]
    assert ours["valid_loss"] == pytest.approx(metrics.log_loss(labels, sure), abs=1e-9)
    assert ours["valid_f1"] == pytest.approx(
        metrics.f1_score(labels, regression.classes_[sure.argmax(axis=1)], pos_label="1")
    )
    assert ours["valid_auc"] == pytest.approx(metrics.roc_auc_score(labels, sure[:, 1]))


def parts(folder: Path, **settings: Any) -> tuple[Frame, Frame]:
    """Return the rows of a file that are learned from, and those that judge."""
    params = TASK.params(data_path="rows.csv", id_column=None, **settings)
    table = read(load(DataRef(folder=str(folder), train=("rows.csv",))), params)
    both = (Frame.of(table.features, taken) for taken in (table.learned(), table.judging()))
    learned, judging = both
    return learned, judging


def test_several_targets_each_have_a_model_of_their_own(tmp_path: Path) -> None:
    found = measured(trained(tmp_path, "dear", "part", num_trials=1))
    assert found["valid_accuracy_dear"] >= 0.75 and found["valid_accuracy_part"] >= 0.85
    assert found["valid_accuracy"] <= min(
        found["valid_accuracy_dear"], found["valid_accuracy_part"]
    )
    flats = rows(3)
    said = TASK.answer(str(tmp_path / "out"), Question(rows=json.dumps(flats)))
    assert [one["part"]["class"] for one in said] == [flat["part"] for flat in flats]
    assert {one["dear"]["class"] for one in said} <= {"yes", "no"}
    with Image.open(tmp_path / "out" / evaluation_plots.JUDGED_FILE) as picture:
        assert picture.height == evaluation_plots.HEAD + 2 * evaluation_plots.SIDE + 16

    two = [
        {**flat, "deposit": 5 - 3 * flat["rent"], "loud": "loud" in flat["note"]} for flat in rows()
    ]
    write(tmp_path / "rows.csv", two)
    how: dict[str, Any] = {"task": "regression", "num_trials": 1, "name": "numbers"}
    drop = f"{without('rent')},loud"
    found = measured(trained(tmp_path, "rent", "deposit", drop_columns=drop, **how))
    assert found["valid_r2_rent"] == pytest.approx(found["valid_r2_deposit"], abs=0.05)
    assert found["valid_loss"] == pytest.approx((1 - found["valid_r2"]) ** 0.5, rel=0.2)
    (said,) = TASK.answer(str(tmp_path / "numbers"), Question(rows=json.dumps(two[0])))
    assert said["deposit"]["value"] == pytest.approx(5 - 3 * said["rent"]["value"], rel=0.1)
    assert (tmp_path / "numbers" / evaluation_plots.JUDGED_FILE).is_file()

    labels = measured(trained(tmp_path, "dear", "loud", drop_columns="rent,part,deposit"))
    assert {"valid_f1_macro", "valid_recall_micro", "valid_accuracy_loud"} <= set(labels)


def test_the_card_s_snippet_runs_as_it_stands_where_hubtrain_is_not(tmp_path: Path) -> None:
    trained(tmp_path, "dear", num_trials=1)
    asked = [
        {k: v for k, v in flat.items() if k not in {"rent", "dear", "part"}} for flat in rows(40)
    ]
    write(tmp_path / "rows.csv", asked)
    card = TASK.loading(TASK.params(data_path="x"), str(tmp_path / "out"), adapter=False)
    (code,) = re.findall(r"```python\n(.*?)```", card, re.S)
    spied = f"{code}\nimport sys; assert 'worker' not in sys.modules\n"
    environ = {**os.environ, "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-I", "-c", spied]
    out = subprocess.check_output(command, text=True, cwd=tmp_path, env=environ)
    ours = TASK.answer(str(tmp_path / "out"), Question(data_path=str(tmp_path / "rows.csv")))
    said = re.findall(r"'(yes|no)'", out.partition("]")[0])
    assert said == [one["class"] for one in ours]
    first = re.search(r"\[\[([\d.e+-]+)\s+([\d.e+-]+)\]", out)
    assert first and float(first[2]) == pytest.approx(ours[0]["probabilities"]["yes"], abs=1e-4)


def test_many_rows_are_answered_fast(tmp_path: Path) -> None:
    import time

    trained(tmp_path, "dear", num_trials=1)
    write(tmp_path / "many.csv", rows(20_000))
    began = time.process_time()
    said = TASK.answer(str(tmp_path / "out"), Question(data_path=str(tmp_path / "many.csv")))
    assert len(said) == 20_000
    assert time.process_time() - began < 20


def test_who_stops_a_search_keeps_the_best_so_far_as_a_checkpoint(tmp_path: Path) -> None:
    told = trained(tmp_path, "dear", stop=threading.Event(), model="decision_tree", num_trials=500)
    assert [e.step for e in told if isinstance(e, Progress)] == [1]
    assert isinstance(told[-1], Checkpoint) and told[-1].step == 1
    assert not list((tmp_path / "out").iterdir()), "a stopped job does not succeed"
    config = json.loads((Path(told[-1].where) / "config.json").read_text())["hubtrain"]
    assert (config["trials"], config["classes"]) == (1, {"dear": ["no", "yes"]})
    (said,) = TASK.answer(told[-1].where, Question(rows=json.dumps(rows(1)[0])))
    assert said["class"] in {"yes", "no"}


@pytest.mark.parametrize("model", ["decision_tree", "linear_regression"])
def test_a_search_goes_on_where_it_was_stopped(tmp_path: Path, model: str) -> None:
    """Optuna is asked for the same as if it had not been; a small space ends by itself."""
    target, task = ("rent", "regression") if model == "linear_regression" else ("dear", None)
    how: dict[str, Any] = {"model": model, "num_trials": 8} | ({"task": task} if task else {})
    whole = trained(tmp_path, target, **how)
    shutil.rmtree(tmp_path / "out")
    left = trained(tmp_path, target, stop=threading.Event(), **how)[-1]
    assert isinstance(left, Checkpoint) and left.step == 1
    rest = trained(tmp_path, target, last=Path(left.where), **how)
    steps = [e.step for e in rest if isinstance(e, Progress)]
    assert steps == (list(range(2, 9)) if model == "decision_tree" else [2, 3])
    tried, again = ([e.values for e in t if isinstance(e, Metric)] for t in (whole, rest))
    assert again == tried[1:]
    other = trained(tmp_path, target, **{**how, "seed": 7})
    assert [e.values for e in other if isinstance(e, Metric)] != tried


def test_a_search_ends_with_its_time_and_tries_the_first_settings_to_the_end() -> None:
    seconds = iter(range(0, 10_000, 250))  # of a clock that is looked at
    events: list[Any] = []
    run = Run(None, DataRef(), Path(), Path(), events.append)
    params = TabularParams(data_path="x", model="naive_bayes", num_trials=50, time_limit=1000)
    features = [Column("a", "number")]
    cells: dict[str, Any] = {"a": [float(i % 2) + i / 100 for i in range(40)]}
    learned = Frame.of(features, (cells, {"y": ["x", "y"] * 20}))
    judge = Judge({"y": ("x", "y")}, {})
    best = Search(params, features, judge, run, clock=lambda: next(seconds)).over(learned)
    assert best is not None and 1 <= best.trials < 5
    left = [e.eta_seconds or 0.0 for e in events if isinstance(e, Progress)]
    assert all(0 <= eta <= 1000 for eta in left) and len(left) == best.trials
    late = iter([0.0, *[5000.0] * 100])
    first = Search(params, features, judge, run, clock=lambda: next(late)).over(learned)
    assert first is not None and first.trials == 1


def test_rows_are_dealt_class_by_class() -> None:
    labels = ["a"] * 50 + ["b"] * 10 + ["c"] * 2 + ["d"]
    seen: list[int] = []
    for learning, judging in folds(strata([labels]), 42):
        assert {labels[i] for i in learning} == {"a", "b", "c", "d"}
        assert not set(learning) & set(judging)
        seen += judging
    assert sorted(seen) == list(range(62)), "all but the only one of its class"
    two = strata([labels, ["x"] * 60 + ["y"] * 3])
    assert (two[0], two[61], two[62]) == ("0 a", "0 c", "0 d"), "by the rarer of its classes"
    assert set(strata([[1.0, 2.5]])) == {""}


def test_a_judge_knows_classes_that_a_fold_has_not_seen() -> None:
    class Half:
        classes_ = np.asarray(["a", "b"])

        def predict_proba(self, frame: Any) -> Any:
            return np.full((len(frame), 2), 0.5)

    judge = Judge({"y": ("a", "b", "c")}, {})
    asked = Frame(np.zeros((2, 1)), {"y": ["a", "c"]})
    found = judge.scores(Half(), asked)
    assert found["loss"] == pytest.approx((np.log(2) - np.log(1e-15)) / 2, rel=1e-3)
    assert found["accuracy"] == 0.5 and "auc" not in found
