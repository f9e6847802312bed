"""A model in a folder: written so that it loads without running anybody's code, and read back.

`model.skops` holds the pipeline; `config.json` what the Hub wants to know of a scikit-learn model
and, under `hubtrain`, what somebody needs to ask it: its columns, classes and settings. No row of
the data is in it, but the names of categories are.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import skops.io

from worker.errors import BadConfig, HubtrainError
from worker.tasks.tabular.estimators import ESTIMATORS
from worker.tasks.tabular.params import TabularParams
from worker.tasks.tabular.table import Table
from worker.tasks.tabular.training.search import Best

MODEL_FILE = "model.skops"
CONFIG_FILE = "config.json"
ANOTHER = "--model with a folder or repo that `hubtrain tabular --train` left, whole"
"""What to type where a model cannot be loaded."""

TRUSTED = (
    *("numpy.atleast_2d", "numpy.dtype", "numpy.ravel", "numpy.transpose"),
    *("operator.attrgetter", "pandas.to_datetime"),
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._dist_metrics.ManhattanDistance64",
    "sklearn.model_selection._split.KFold",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
    "xgboost.core.Booster",
    *("xgboost.sklearn.XGBClassifier", "xgboost.sklearn.XGBRegressor"),
)
"""Types beyond those skops trusts itself that our models are made of. A file that wants others is
not loaded: it may come from anybody. What of them is a function only computes, and attributes are
looked up and not called."""


MOST_BYTES = 4 << 30
MOST_SCHEMA_BYTES = 64 << 20
"""Bytes a model may unpack to, and its description among them: a small file can fill a memory."""


def save(model: Any, table: Table, params: TabularParams, best: Best, folder: Path) -> None:
    """Write model and configuration."""
    skops.io.dump(model, folder / MODEL_FILE)
    kinds = {column.name: column.kind for column in table.features}
    told = {
        "sklearn": {
            "columns": list(kinds),
            "environment": [f"{name}={version(name)}" for name in _environment(params)],
            "model": {"file": MODEL_FILE},
            "model_format": "skops",
            "task": f"tabular-{params.task}",
        },
        "hubtrain": {
            "model": params.model,
            "settings": dict(best.settings),
            "trials": best.trials,
            "task": params.task,
            "targets": list(table.targets),
            "classes": {name: list(classes) for name, classes in table.classes.items()},
            "columns": kinds,
            "trusted": skops.io.get_untrusted_types(file=folder / MODEL_FILE),
        },
    }
    text = json.dumps(told, indent=2, ensure_ascii=False) + "\n"
    (folder / CONFIG_FILE).write_text(text, encoding="utf-8")


def load(folder: Path) -> tuple[Any, dict[str, Any]]:
    """Return the pipeline and its `hubtrain` configuration. Raises `BadConfig`."""
    try:
        told = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))["hubtrain"]
        told["columns"], told["targets"], told["classes"] = (
            dict(told["columns"]),
            list(told["targets"]),
            dict(told["classes"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        said = f"{folder} holds no model for tables that hubtrain trained."
        raise BadConfig(said, fix=ANOTHER) from error
    with _readable(folder / MODEL_FILE):
        _check_sizes(folder / MODEL_FILE)
        wanted = set(skops.io.get_untrusted_types(file=folder / MODEL_FILE))
    if unknown := sorted(wanted - set(TRUSTED)):
        raise BadConfig(
            f"{MODEL_FILE} is not loaded: it wants types that no model of hubtrain's is made of: "
            f"{', '.join(unknown)}.",
            fix=ANOTHER,
        )
    with _readable(folder / MODEL_FILE):
        model = skops.io.load(folder / MODEL_FILE, trusted=sorted(wanted))
        if not hasattr(model, "predict"):
            raise TypeError(f"it holds a {type(model).__name__}")
        return model, told


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Turn whatever a missing or damaged file makes skops raise into `BadConfig`."""
    try:
        yield
    except HubtrainError:
        raise
    except FileNotFoundError as error:
        raise BadConfig(f"there is no {file.name} in {file.parent}.", fix=ANOTHER) from error
    except Exception as error:  # the file may hold anything, and skops looks at little
        what = f"{file} is damaged and cannot be read as a model: {error or type(error).__name__}"
        raise BadConfig(what.rstrip(".") + ".", fix=ANOTHER) from error


def _check_sizes(file: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        sizes = {one.filename: one.file_size for one in archive.infolist()}
    if sum(sizes.values()) > MOST_BYTES or sizes.get("schema.json", 0) > MOST_SCHEMA_BYTES:
        raise BadConfig(
            f"{file} is not loaded: it unpacks to {sum(sizes.values()) / 1e9:.1f} GB, far more than"
            " a model for tables has.",
            fix=ANOTHER,
        )


def _environment(params: TabularParams) -> list[str]:
    needed = ["scikit-learn", "skops", "pandas"]
    boosted = ESTIMATORS[params.model].built(params.task).startswith("xgb")
    return [*needed, "xgboost-cpu"] if boosted else needed
