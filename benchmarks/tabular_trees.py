"""Boosted trees for tables: which library is the right default for `hubtrain tabular`.

XGBoost, LightGBM, CatBoost and scikit-learn's, as far as they are installed, each with its usual
settings and 200 rounds at a rate of 0.1, on the data sets that scikit-learn carries and on a large
table with categories, gaps and noise. Categories are given to each as it likes them best. Told are
what five folds, dealt twice, come to (the large table: one split), the CPU-seconds of
all fits, and the bytes that the library and what only it needs take on a disk. CatBoost and
LightGBM are no dependencies: `pip install lightgbm catboost` somewhere, and run it with that
Python.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # what is compared is work, and threads that wait do none

import time
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from typing import Any

SECONDS = 240
ROUNDS, RATE = 200, 0.1
LARGE = 200_000
"""Rows of the large table."""

SEEDS = (0, 1)
"""Of the folds, which are dealt anew for each."""

PACKAGES = {
    "xgboost": ("xgboost-cpu", "xgboost"),
    "lightgbm": ("lightgbm", "narwhals"),
    "catboost": ("catboost", "graphviz", "matplotlib", "plotly", "pillow", "fonttools"),
    "sklearn": (),
}
"""What each needs beside numpy, scipy, pandas and scikit-learn, which are there anyway."""


def xgboost(kind: str, seed: int) -> Any:
    from xgboost import XGBClassifier, XGBRegressor

    made = XGBClassifier if kind == "class" else XGBRegressor
    how = {"tree_method": "hist", "enable_categorical": True, "max_depth": 6}
    return made(n_estimators=ROUNDS, learning_rate=RATE, random_state=seed, n_jobs=1, **how)


def lightgbm(kind: str, seed: int) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    made = LGBMClassifier if kind == "class" else LGBMRegressor
    return made(n_estimators=ROUNDS, learning_rate=RATE, random_state=seed, n_jobs=1, verbose=-1)


def catboost(kind: str, seed: int) -> Any:
    from catboost import CatBoostClassifier, CatBoostRegressor

    made = CatBoostClassifier if kind == "class" else CatBoostRegressor
    how = {"verbose": False, "allow_writing_files": False, "thread_count": 1}
    return made(iterations=ROUNDS, learning_rate=RATE, random_seed=seed, **how)


def sklearn(kind: str, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    made = HistGradientBoostingClassifier if kind == "class" else HistGradientBoostingRegressor
    how = {"early_stopping": False, "categorical_features": "from_dtype"}
    return made(max_iter=ROUNDS, learning_rate=RATE, random_state=seed, **how)


LIBRARIES: dict[str, Callable[[str, int], Any]] = {
    "xgboost": xgboost,
    "lightgbm": lightgbm,
    "catboost": catboost,
    "sklearn": sklearn,
}


def tables() -> Iterator[tuple[str, str, Any, Any]]:
    """Yield the name, class or number, the rows as a frame, and what is to be told."""
    from sklearn import datasets

    for name in ("breast_cancer", "digits", "wine", "iris"):
        rows, told = getattr(datasets, f"load_{name}")(return_X_y=True, as_frame=True)
        yield name, "class", rows, told
    yield ("diabetes", "number", *datasets.load_diabetes(return_X_y=True, as_frame=True))
    yield ("large", "class", *large())


def large() -> tuple[Any, Any]:
    """Return rows of ten numbers, with gaps, and four columns of 3 to 1,000 categories."""
    import numpy as np
    import pandas as pd

    chance = np.random.default_rng(0)
    numbers = chance.normal(size=(LARGE, 10))
    signal = numbers[:, 0] * numbers[:, 1] + np.sin(2 * numbers[:, 2]) + 0.5 * numbers[:, 3]
    frame = pd.DataFrame(numbers, columns=[f"n{i}" for i in range(10)])
    for i, many in enumerate((3, 20, 200, 1000)):
        drawn = chance.integers(0, many, LARGE)
        frame[f"c{i}"] = pd.Categorical([f"v{v}" for v in drawn])
        signal += chance.normal(scale=0.6, size=many)[drawn]
    frame = frame.mask(chance.random(frame.shape) < 0.05)
    for i in range(4):
        frame[f"c{i}"] = frame[f"c{i}"].astype("category")
    said = (signal + chance.normal(scale=0.7, size=LARGE) > 0).astype(int)
    return frame, pd.Series(said)


def fitted(library: str, kind: str, seed: int, rows: Any, told: Any) -> Any:
    """Return the library's model, fitted to the rows."""
    model = LIBRARIES[library](kind, seed)
    return model.fit(*as_liked(library, rows), told, **_categories(library, rows))


def as_liked(library: str, rows: Any) -> tuple[Any]:
    """Return rows as the library takes them: CatBoost wants text, scikit-learn few categories."""
    kept = rows.copy(deep=False)
    for name in rows.select_dtypes("category"):
        if library == "catboost":
            kept[name] = rows[name].astype(object).where(rows[name].notna(), "none")
        elif library == "sklearn" and len(rows[name].cat.categories) > 255:
            kept[name] = rows[name].cat.codes
    return (kept,)


def _categories(library: str, rows: Any) -> dict[str, Any]:
    names = list(rows.select_dtypes("category"))
    return {"cat_features": names} if library == "catboost" and names else {}


def judged(library: str, kind: str, rows: Any, told: Any) -> tuple[float, float, float]:
    """Return accuracy, or R squared; log loss, or RMSE; and the CPU-seconds of the fits."""
    from sklearn import metrics
    from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

    found: list[tuple[float, float]] = []
    spent = 0.0
    for seed in SEEDS if len(rows) < LARGE else SEEDS[:1]:
        if len(rows) < LARGE:
            dealt = StratifiedKFold if kind == "class" else KFold
            deals = list(dealt(5, shuffle=True, random_state=seed).split(rows, told))
        else:
            deals = [train_test_split(range(len(rows)), test_size=0.2, random_state=0)]
        for learning, judging in deals:
            began = time.process_time()
            model = fitted(library, kind, seed, rows.iloc[learning], told.iloc[learning])
            spent += time.process_time() - began
            (asked,), truth = as_liked(library, rows.iloc[judging]), told.iloc[judging]
            if kind == "class":
                sure = model.predict_proba(asked)
                right = (sure.argmax(axis=1) == truth.to_numpy()).mean()
                found.append((float(right), metrics.log_loss(truth, sure)))
            else:
                said = model.predict(asked)
                off = metrics.root_mean_squared_error(truth, said)
                found.append((metrics.r2_score(truth, said), off))
    first, second = (sum(column) / len(found) for column in zip(*found, strict=True))
    return first, second, spent


def installed_bytes(library: str) -> int:
    """Return the bytes that a library takes on the disk, with what only it needs."""
    total = 0
    for name in PACKAGES[library]:
        try:
            files = distribution(name).files or []
        except PackageNotFoundError:
            continue
        paths = (str(file.locate()) for file in files)
        total += sum(os.stat(path).st_size for path in paths if os.path.isfile(path))
    return total


def main() -> None:
    """Print a line for each table and library."""
    there = [name for name in LIBRARIES if find_spec(name)]
    for name in there:
        version, more = import_module(name).__version__, installed_bytes(name) / 1e6
        print(f"  {name} {version}: {more:.0f} MB more")
    for table, kind, rows, told in tables():
        for library in there:
            first, second, spent = judged(library, kind, rows, told)
            names = ("accuracy", "log loss") if kind == "class" else ("r2", "rmse")
            said = f"{names[0]} {first:.4f}, {names[1]} {second:.4f}"
            print(f"  {table:<14} {library:<9} {said}, {spent:7.1f} CPU-seconds", flush=True)


if __name__ == "__main__":
    main()
