"""What users may set of training on tables. Declarations only."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from annotated_types import Ge, Gt, Le, Lt
from pydantic import field_validator, model_validator

from worker.common import Data
from worker.params import Flag, GoesOn, Params
from worker.tasks.tabular.estimators import ESTIMATORS, Learned, Name

MOST_TRIALS = 10_000
HELD_OUT = 0.2
"""Share of the rows that is held out for validation by default."""


SEARCH_FILE = "search.json"
"""In a checkpoint: how far the search is, and the best that it has found."""


class Columns(Params):
    """Columns."""

    target_columns: Annotated[str, Flag("--target-column", "--target")] = "target"
    """Column of the class or the number that is learned; several with commas between."""

    id_column: str | None = "id"
    """Column that names the rows and says nothing about them; it is left out."""

    categorical_columns: str | None = None
    """Columns of categories, with commas between; others are told by what they hold. Where
    numerical columns are named too, only named columns are used."""

    numerical_columns: str | None = None
    """Columns of numbers, with commas between; what is no number in them counts as missing."""

    text_columns: str | None = None
    """Columns of free text, with commas between, of which words are learned from."""

    drop_columns: str | None = None
    """Columns to leave out, with commas between."""

    @field_validator(
        *("target_columns", "categorical_columns", "numerical_columns", "text_columns"),
        "drop_columns",
        mode="before",
    )
    @classmethod
    def _listed(cls, value: object) -> object:
        """Take a list, as files have it, for the same names with commas between."""
        return ",".join(map(str, value)) if isinstance(value, list | tuple) else value


class Preparation(Params):
    """Preparation."""

    numerical_imputer: Literal["median", "mean", "most_frequent"] | None = None
    """What fills gaps in numbers; none is the median, and nothing where the model bears gaps."""

    categorical_imputer: Literal["most_frequent"] | None = None
    """What fills gaps in categories; with none a gap is a category of its own."""

    numeric_scaler: Literal["standard", "minmax", "robust", "maxabs", "normal"] | None = None
    """How numbers are scaled (normal: rows to unit length); none is standard where it matters."""


class Search(Params):
    """Search."""

    num_trials: Annotated[int, Ge(1), Le(MOST_TRIALS), GoesOn()] = 10
    """Settings of the model to try: its usual ones first, then such as Optuna chooses."""

    time_limit: Annotated[float, Gt(0), GoesOn()] = 600
    """Seconds after which no further settings are tried; the first are always tried to the end."""

    seed: Annotated[int, Ge(0), Lt(2**32)] = 42
    """Seed of every random choice: rows held out, folds, settings tried, and the model's own."""


class TabularParams(Data, Columns, Preparation, Search):
    """Tables."""

    model: Annotated[Name, Flag("--estimator", "-m")] = "xgboost"
    """Kind of model. xgboost is XGBoost's, gradient_boosting scikit-learn's histogram boosting; the
    others are scikit-learn's too. logistic_regression and naive_bayes tell classes alone,
    linear_regression and lasso numbers alone."""

    task: Learned = "classification"
    """What is learned: to tell a row's class, or a number (regression)."""

    valid_split: str | None = None
    """Split that judges the model, or a share of the training rows to hold out, as in 0.1; none
    holds out 0.2. Of each class the same share is held out."""

    @model_validator(mode="after")
    def _learns_it(self) -> Self:
        if not ESTIMATORS[self.model].built(self.task):
            able = ", ".join(name for name, one in ESTIMATORS.items() if one.built(self.task))
            raise ValueError(f"{self.model} does no {self.task}; these do: {able}")
        return self

    @property
    def numbers(self) -> bool:
        """Whether numbers are predicted, and no classes."""
        return self.task == "regression"

    @property
    def held_out(self) -> float:
        """Share of the training rows to hold out where the data have no validation split."""
        return self.valid_share or HELD_OUT


class Ignored(Params):
    """Read and not used."""

    log: str | None = None
    """A search reports to no tracker; its page and its events tell of every trial."""


class Question(Params):
    """Rows to answer."""

    data_path: Annotated[str | None, Flag("--data", "--dataset", "-d")] = None
    """CSV, JSONL or Parquet file with the rows to answer (--inference)."""

    rows: str | None = None
    """The rows themselves, as JSON: one object, or a list of them (--inference)."""


def named(text: str | None, columns: tuple[str, ...]) -> list[str]:
    """Return the columns that a setting names; one that has a comma in its name is found too."""
    if not text:
        return []
    return [text] if text in columns else [name.strip() for name in text.split(",") if name.strip()]
