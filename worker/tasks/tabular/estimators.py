"""The kinds of models for tables, one row each: what is built, what it bears, what is tried.

Light: the classes are named here and imported where they are fitted. To add one, add its name and
its row; the flag, the search and the check follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Learned = Literal["classification", "regression"]

Name = Literal[
    "xgboost",
    "gradient_boosting",
    "random_forest",
    "extra_trees",
    "decision_tree",
    "adaboost",
    "logistic_regression",
    "linear_regression",
    "ridge",
    "lasso",
    "svm",
    "knn",
    "naive_bayes",
]


@dataclass(frozen=True, slots=True)
class Among:
    """One of some values."""

    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Real:
    """A number between two, drawn so that every order of magnitude is as likely if `log`."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number between two, both included."""

    low: int
    high: int
    log: bool = False


Space = Mapping[str, Among | Real | Whole]


@dataclass(frozen=True, slots=True)
class Estimator:
    """One kind of model."""

    classes: str = ""
    """The class that tells classes, as it is imported; empty where there is none."""

    numbers: str = ""
    """The class that predicts numbers; empty where there is none."""

    usual: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the first trial, which hold in the others where these do not try them."""

    tried: Space = field(default_factory=dict)
    """Settings that the search chooses, and what from."""

    tried_of_classes: Space = field(default_factory=dict)
    """More of them where classes are told."""

    splits: bool = False
    """Whether it asks one column at a time, as trees do: categories are then numbered, and numbers
    need no scaling. Else each category is a column of its own."""

    bears_gaps: bool = False
    """Whether it learns from missing numbers as they are."""

    calibrated: bool = False
    """Whether it tells no probabilities by itself, and is given some by Platt's method."""

    names_classes: bool = True
    """Whether it takes classes by their names; else they are numbered for it."""

    scaled: bool = False
    """Whether what it tries means the same only for numbers of one size: what is predicted is
    then scaled for it, and back."""

    one_a_class: bool = False
    """Whether it fits something for each class of more than two, and takes so much longer."""

    cost: float = 1.0
    """Core-seconds of a fit of the usual settings to a million cells and two classes, measured."""

    def built(self, learned: Learned) -> str:
        """Return the class, as it is imported; empty where the model does not learn that."""
        return self.classes if learned == "classification" else self.numbers

    def space(self, learned: Learned) -> Space:
        """Return what the search chooses."""
        more = self.tried_of_classes if learned == "classification" else {}
        return {**self.tried, **more}


_TREE: Space = {
    "max_depth": Among((None, 3, 5, 8, 12, 16)),
    "min_samples_split": Whole(2, 20),
    "min_samples_leaf": Whole(1, 20, log=True),
    "max_features": Among(("sqrt", "log2", None)),
}
_FOREST: Space = {**_TREE, "n_estimators": Whole(50, 500, log=True)}
_PURITY: Space = {"criterion": Among(("gini", "entropy"))}

ESTIMATORS: Mapping[Name, Estimator] = {
    "xgboost": Estimator(
        "xgboost.XGBClassifier",
        "xgboost.XGBRegressor",
        {
            **{"n_estimators": 200, "learning_rate": 0.1, "max_depth": 6, "tree_method": "hist"},
            **{"subsample": 0.8, "colsample_bytree": 0.8},
        },
        {
            "n_estimators": Whole(50, 600, log=True),
            "learning_rate": Real(0.01, 0.3, log=True),
            "max_depth": Whole(1, 9),
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
        "sklearn.ensemble.HistGradientBoostingRegressor",
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
        "sklearn.ensemble.RandomForestRegressor",
        {"n_estimators": 200, "n_jobs": -1},
        _FOREST,
        _PURITY,
        splits=True,
        bears_gaps=True,
        cost=55,
    ),
    "extra_trees": Estimator(
        "sklearn.ensemble.ExtraTreesClassifier",
        "sklearn.ensemble.ExtraTreesRegressor",
        {"n_estimators": 200, "n_jobs": -1},
        _FOREST,
        _PURITY,
        splits=True,
        bears_gaps=True,
        cost=20,
    ),
    "decision_tree": Estimator(
        "sklearn.tree.DecisionTreeClassifier",
        "sklearn.tree.DecisionTreeRegressor",
        {},
        _TREE,
        _PURITY,
        splits=True,
        bears_gaps=True,
        cost=1.5,
    ),
    "adaboost": Estimator(
        "sklearn.ensemble.AdaBoostClassifier",
        "sklearn.ensemble.AdaBoostRegressor",
        {},
        {"n_estimators": Whole(20, 400, log=True), "learning_rate": Real(0.01, 2, log=True)},
        splits=True,
        cost=9,
    ),
    "logistic_regression": Estimator(
        "sklearn.linear_model.LogisticRegression",
        "",
        {"max_iter": 1000},
        {"C": Real(1e-4, 1e3, log=True), "class_weight": Among((None, "balanced"))},
        cost=2,
    ),
    "linear_regression": Estimator(
        "",
        "sklearn.linear_model.LinearRegression",
        {},
        {"fit_intercept": Among((True, False))},
        cost=1,
    ),
    "ridge": Estimator(
        "sklearn.linear_model.RidgeClassifier",
        "sklearn.linear_model.Ridge",
        {},
        {"alpha": Real(1e-4, 1e3, log=True)},
        calibrated=True,
        cost=3,
    ),
    "lasso": Estimator(
        "",
        "sklearn.linear_model.Lasso",
        {"alpha": 0.01, "max_iter": 5000},
        {"alpha": Real(1e-5, 1, log=True)},
        scaled=True,
        cost=1,
    ),
    "svm": Estimator(
        "sklearn.svm.LinearSVC",
        "sklearn.svm.LinearSVR",
        {"max_iter": 5000},
        {"C": Real(1e-4, 1e2, log=True)},
        calibrated=True,
        scaled=True,
        one_a_class=True,
        cost=3,
    ),
    "knn": Estimator(
        "sklearn.neighbors.KNeighborsClassifier",
        "sklearn.neighbors.KNeighborsRegressor",
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
        "",
        {},
        {"var_smoothing": Real(1e-12, 1e-1, log=True)},
        cost=0.2,
    ),
}
