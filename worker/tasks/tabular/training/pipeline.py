"""The model as one pipeline of scikit-learn: rows as they are read go in, what is told comes out.

Nothing of it is ours, so that it is loaded where hubtrain is not; where it needs a function, that
is one of numpy or pandas that only computes. A category that was never seen counts as a gap where
categories are numbered, and as none of the known where each has its column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from operator import attrgetter
from typing import Any

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import VotingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)

from worker.tasks.tabular.columns import DATE_PARTS, WORDS_KEPT, Column
from worker.tasks.tabular.estimators import ESTIMATORS
from worker.tasks.tabular.params import TabularParams

SCALERS = {
    "standard": StandardScaler,
    "minmax": MinMaxScaler,
    "robust": RobustScaler,
    "maxabs": MaxAbsScaler,
    "normal": Normalizer,
}

MANY_CATEGORIES = 50
"""Categories of a column above which each is told by what its rows came to, which is one number (a
number for each class): Micci-Barreca 2001, with the cross-fitting of scikit-learn."""

Steps = list[tuple[str, Any]]


def pipeline(
    settings: Mapping[str, Any], features: Iterable[Column], targets: int, params: TabularParams
) -> Any:
    """Return the model, not yet fitted: one pipeline, or one for each of several targets."""
    columns = tuple(features)
    made = Pipeline([("prepare", _prepare(columns, params)), ("model", _model(settings, params))])
    if targets == 1:
        return made
    return MultiOutputRegressor(made) if params.numbers else MultiOutputClassifier(made)


def _prepare(columns: Iterable[Column], params: TabularParams) -> ColumnTransformer:
    """Return what makes numbers of all columns, those of a kind together."""
    parts: list[tuple[str, Any, list[str]]] = []
    steps = {
        "numbers": _of_numbers(params),
        "categories": _of_categories(params),
        "many categories": _of_many(params),
    }
    for called, how in steps.items():
        if names := [column.name for column in columns if _called(column) == called]:
            parts.append((called, Pipeline(how), names))
    for column in columns:  # these two take one column each
        if column.kind == "date":
            parts.append((f"date {column.name}", _of_dates(column, params), [column.name]))
        elif column.kind == "text":
            parts.append((f"words of {column.name}", _of_texts(), [column.name]))
    return ColumnTransformer(parts, verbose_feature_names_out=False, sparse_threshold=0)


def _called(column: Column) -> str:
    if column.kind == "category":
        return "many categories" if column.different > MANY_CATEGORIES else "categories"
    return f"{column.kind}s"


def _of_numbers(params: TabularParams, *, fills: bool = True) -> Steps:
    estimator = ESTIMATORS[params.model]
    fill = params.numerical_imputer if fills else None
    fill = fill or (None if estimator.bears_gaps else "median")
    scale = params.numeric_scaler or (None if estimator.splits else "standard")
    steps: Steps = []
    if fill or scale == "normal":  # a row with a gap has no length
        steps.append(("fill", SimpleImputer(strategy=fill or "median", keep_empty_features=True)))
    if scale:
        steps.append(("scale", SCALERS[scale]()))
    return steps or [("keep", "passthrough")]


def _of_categories(params: TabularParams) -> Steps:
    estimator = ESTIMATORS[params.model]
    if not estimator.splits:
        encode: Any = OneHotEncoder(handle_unknown="infrequent_if_exist", sparse_output=False)
    else:
        gap = np.nan if estimator.bears_gaps else -1
        encode = OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=gap, encoded_missing_value=gap
        )
    return [*_filled(params), ("encode", encode)]


def _of_many(params: TabularParams) -> Steps:
    dealt = KFold(5, shuffle=True, random_state=params.seed)
    scaled = [] if ESTIMATORS[params.model].splits else [("scale", StandardScaler())]
    return [*_filled(params), ("encode", TargetEncoder(cv=dealt)), *scaled]


def _filled(params: TabularParams) -> Steps:
    how = params.categorical_imputer
    return [("fill", SimpleImputer(strategy=how))] if how else []


def _of_dates(column: Column, params: TabularParams) -> Pipeline:
    """Return what takes dates apart; one that is none, and a gap, is a gap in all of its parts."""
    how = {"format": "mixed", "dayfirst": column.day_first, "utc": True, "errors": "coerce"}
    return Pipeline(
        [
            ("flat", FunctionTransformer(np.ravel)),
            ("read", FunctionTransformer(pd.to_datetime, kw_args=how)),
            ("parts", FeatureUnion([(name, _part(name)) for name in DATE_PARTS])),
            *_of_numbers(params, fills=False),
        ]
    )


def _part(name: str) -> Pipeline:
    return Pipeline(
        [
            ("take", FunctionTransformer(attrgetter(name))),
            ("row", FunctionTransformer(np.atleast_2d)),
            ("column", FunctionTransformer(np.transpose)),
        ]
    )


def _of_texts() -> Pipeline:
    return Pipeline(
        [
            ("fill", SimpleImputer(strategy="constant", fill_value="")),
            ("flat", FunctionTransformer(np.ravel)),
            ("words", TfidfVectorizer(max_features=WORDS_KEPT, sublinear_tf=True)),
        ]
    )


def _model(settings: Mapping[str, Any], params: TabularParams) -> Any:
    estimator = ESTIMATORS[params.model]
    module, name = estimator.built(params.task).rsplit(".", 1)
    kind = getattr(import_module(module), name)
    chance = {"random_state": params.seed} if "random_state" in kind().get_params() else {}
    made = kind(**chance, **settings)
    if params.numbers:
        scaled = TransformedTargetRegressor(made, transformer=StandardScaler())
        return scaled if estimator.scaled else made
    if estimator.calibrated:
        return CalibratedClassifierCV(made, cv=2, ensemble=False)
    if not estimator.names_classes:  # a vote of one keeps their names
        return VotingClassifier([("model", made)], voting="soft")
    return made
