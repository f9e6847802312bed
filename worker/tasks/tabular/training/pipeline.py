"""The model as one pipeline of scikit-learn: rows as they are read go in, classes come out.

Nothing of it is ours, so that it is loaded where hubtrain is not. A category that was never seen
counts as a gap where categories are numbered, and as none of the known where each has its column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)

from worker.tasks.tabular.columns import Column
from worker.tasks.tabular.estimators import Estimator
from worker.tasks.tabular.params import TabularParams

SCALERS = {
    "standard": StandardScaler,
    "minmax": MinMaxScaler,
    "robust": RobustScaler,
    "maxabs": MaxAbsScaler,
    "normal": Normalizer,
}

COLUMNS_A_CATEGORY = 100
"""Most columns that one column of categories becomes: the rarest categories share the last."""


def pipeline(
    estimator: Estimator,
    settings: Mapping[str, Any],
    features: Iterable[Column],
    params: TabularParams,
) -> Pipeline:
    """Return the model, not yet fitted."""
    columns = tuple(features)
    numbers = [column.name for column in columns if column.kind == "number"]
    categories = [column.name for column in columns if column.kind == "category"]
    prepare = ColumnTransformer(
        [
            ("numbers", Pipeline(_of_numbers(estimator, params)), numbers),
            ("categories", Pipeline(_of_categories(estimator, params)), categories),
        ],
        verbose_feature_names_out=False,
    )
    return Pipeline([("prepare", prepare), ("model", _model(estimator, settings, params.seed))])


def _of_numbers(estimator: Estimator, params: TabularParams) -> list[tuple[str, Any]]:
    fill = params.numerical_imputer or (None if estimator.bears_gaps else "median")
    scale = params.numeric_scaler or (None if estimator.splits else "standard")
    steps: list[tuple[str, Any]] = []
    if fill or scale == "normal":  # a row with a gap has no length
        steps.append(("fill", SimpleImputer(strategy=fill or "median", keep_empty_features=True)))
    if scale:
        steps.append(("scale", SCALERS[scale]()))
    return steps or [("keep", "passthrough")]


def _of_categories(estimator: Estimator, params: TabularParams) -> list[tuple[str, Any]]:
    steps: list[tuple[str, Any]] = []
    if params.categorical_imputer:
        filling = SimpleImputer(missing_values=None, strategy=params.categorical_imputer)
        steps.append(("fill", filling))
    if not estimator.splits:
        encode: Any = OneHotEncoder(
            handle_unknown="infrequent_if_exist",
            max_categories=COLUMNS_A_CATEGORY,
            sparse_output=False,
        )
    else:
        gap = np.nan if estimator.bears_gaps else -1
        encode = OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=gap, encoded_missing_value=gap
        )
    return [*steps, ("encode", encode)]


def _model(estimator: Estimator, settings: Mapping[str, Any], seed: int) -> Any:
    module, name = estimator.built.rsplit(".", 1)
    kind = getattr(import_module(module), name)
    chance = {"random_state": seed} if "random_state" in kind().get_params() else {}
    made = kind(**chance, **settings)
    if estimator.calibrated:
        return CalibratedClassifierCV(made, cv=2, ensemble=False)
    if not estimator.names_classes:  # a vote of one keeps their names
        return VotingClassifier([("model", made)], voting="soft")
    return made
