"""The kinds of models for tables, one row each: what is built, what it bears, what is tried.

Light: the classes are named here and imported where they are fitted. To add one, add its name and
its row; the flag, the search and the check follow.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Name = Literal[
    "xgboost",
    "gradient_boosting",
    "random_forest",
    "extra_trees",
    "decision_tree",
    "adaboost",
    "logistic_regression",
    "ridge",
    "svm",
    "knn",
    "naive_bayes",
]

_FRUITLESS = 50
"""Draws without anything new after which a space counts as tried out."""


@dataclass(frozen=True, slots=True)
class Among:
    """One of some values."""

    values: tuple[Any, ...]

    def draw(self, chance: random.Random) -> Any:
        return chance.choice(self.values)


@dataclass(frozen=True, slots=True)
class Real:
    """A number between two, drawn so that every order of magnitude is as likely if `log`."""

    low: float
    high: float
    log: bool = False

    def draw(self, chance: random.Random) -> float:
        if not self.log:
            return chance.uniform(self.low, self.high)
        return math.exp(chance.uniform(math.log(self.low), math.log(self.high)))


@dataclass(frozen=True, slots=True)
class Whole(Real):
    """A whole number between two, both included."""

    def draw(self, chance: random.Random) -> int:
        return round(Real.draw(self, chance))


@dataclass(frozen=True, slots=True)
class Estimator:
    """One kind of model."""

    built: str
    """Its class, as it is imported."""

    usual: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the first trial, which hold in the others where these do not try them."""

    tried: Mapping[str, Among | Real] = field(default_factory=dict)
    """Settings that the search draws, and what from."""

    splits: bool = False
    """Whether it asks one column at a time, as trees do: categories are then numbered, and numbers
    need no scaling. Else each category is a column of its own."""

    bears_gaps: bool = False
    """Whether it learns from missing numbers as they are."""

    calibrated: bool = False
    """Whether it tells no probabilities by itself, and is given some by Platt's method."""

    names_classes: bool = True
    """Whether it takes classes by their names; else they are numbered for it."""

    one_a_class: bool = False
    """Whether it fits something for each class of more than two, and takes so much longer."""

    cost: float = 1.0
    """Core-seconds of a fit of the usual settings to a million cells and two classes, measured."""


_TREE: Mapping[str, Among | Real] = {
    "max_depth": Among((None, 3, 5, 8, 12, 16)),
    "min_samples_split": Whole(2, 20),
    "min_samples_leaf": Whole(1, 20, log=True),
    "max_features": Among(("sqrt", "log2", None)),
    "criterion": Among(("gini", "entropy")),
}
_FOREST: Mapping[str, Among | Real] = {**_TREE, "n_estimators": Whole(50, 500, log=True)}

ESTIMATORS: Mapping[Name, Estimator] = {
    "xgboost": Estimator(
        "xgboost.XGBClassifier",
        {"n_estimators": 200, "learning_rate": 0.1, "max_depth": 6, "tree_method": "hist"},
        {
            "n_estimators": Whole(50, 600, log=True),
            "learning_rate": Real(0.01, 0.3, log=True),
            "max_depth": Whole(2, 9),
            "min_child_weight": Real(0.5, 10, log=True),
            "subsample": Real(0.5, 1),
            "colsample_bytree": Real(0.5, 1),
            "reg_lambda": Real(1e-3, 100, log=True),
            "reg_alpha": Real(1e-6, 10, log=True),
        },
        splits=True,
        bears_gaps=True,
        names_classes=False,
        one_a_class=True,
        cost=8,
    ),
    "gradient_boosting": Estimator(
        "sklearn.ensemble.HistGradientBoostingClassifier",
        {},
        {
            "max_iter": Whole(50, 400, log=True),
            "learning_rate": Real(0.01, 0.3, log=True),
            "max_leaf_nodes": Whole(4, 64, log=True),
            "min_samples_leaf": Whole(5, 60, log=True),
            "l2_regularization": Real(1e-4, 100, log=True),
            "max_features": Real(0.4, 1),
        },
        splits=True,
        bears_gaps=True,
        one_a_class=True,
        cost=7,
    ),
    "random_forest": Estimator(
        "sklearn.ensemble.RandomForestClassifier",
        {"n_estimators": 200, "n_jobs": -1},
        _FOREST,
        splits=True,
        bears_gaps=True,
        cost=55,
    ),
    "extra_trees": Estimator(
        "sklearn.ensemble.ExtraTreesClassifier",
        {"n_estimators": 200, "n_jobs": -1},
        _FOREST,
        splits=True,
        bears_gaps=True,
        cost=20,
    ),
    "decision_tree": Estimator(
        "sklearn.tree.DecisionTreeClassifier", {}, _TREE, splits=True, bears_gaps=True, cost=1.5
    ),
    "adaboost": Estimator(
        "sklearn.ensemble.AdaBoostClassifier",
        {},
        {"n_estimators": Whole(20, 400, log=True), "learning_rate": Real(0.01, 2, log=True)},
        splits=True,
        cost=9,
    ),
    "logistic_regression": Estimator(
        "sklearn.linear_model.LogisticRegression",
        {"max_iter": 1000},
        {"C": Real(1e-4, 1e3, log=True), "class_weight": Among((None, "balanced"))},
        cost=2,
    ),
    "ridge": Estimator(
        "sklearn.linear_model.RidgeClassifier",
        {},
        {"alpha": Real(1e-4, 1e3, log=True)},
        calibrated=True,
        cost=3,
    ),
    "svm": Estimator(
        "sklearn.svm.LinearSVC",
        {"max_iter": 5000},
        {"C": Real(1e-4, 1e2, log=True)},
        calibrated=True,
        one_a_class=True,
        cost=3,
    ),
    "knn": Estimator(
        "sklearn.neighbors.KNeighborsClassifier",
        {},
        {
            "n_neighbors": Whole(1, 25),
            "weights": Among(("uniform", "distance")),
            "p": Among((1, 2)),
        },
        cost=3,
    ),
    "naive_bayes": Estimator(
        "sklearn.naive_bayes.GaussianNB",
        {},
        {"var_smoothing": Real(1e-12, 1e-1, log=True)},
        cost=0.2,
    ),
}


def candidates(estimator: Estimator, trials: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield up to `trials` different settings to try, the usual ones first.

    The same seed yields the same. Fewer come of a space that has no more.
    """
    chance, seen = random.Random(seed), set[str]()
    yield dict(estimator.usual)
    made, fruitless = 1, 0
    while made < trials and fruitless < _FRUITLESS and estimator.tried:
        drawn = {name: values.draw(chance) for name, values in estimator.tried.items()}
        if (key := repr(drawn)) in seen:
            fruitless += 1
            continue
        seen.add(key)
        made, fruitless = made + 1, 0
        yield {**estimator.usual, **drawn}
