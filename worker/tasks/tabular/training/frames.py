"""Rows as libraries take them: a data frame of what is known, and what is told of each row."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning

from worker.tasks.tabular.columns import Column, Kind
from worker.tasks.tabular.table import Cell, Told


@dataclass(frozen=True, slots=True)
class Frame:
    """Rows of which everything is told."""

    rows: Any
    """What is known of them: a data frame."""

    told: Told

    @classmethod
    def of(cls, features: Iterable[Column], taken: tuple[dict[str, list[Cell]], Told]) -> Frame:
        """Return rows as a table has them."""
        return cls(frame(features, taken[0]), taken[1])

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.rows)

    def at(self, places: Sequence[int]) -> Frame:
        """Return some of the rows."""
        told = {name: [values[i] for i in places] for name, values in self.told.items()}
        return Frame(self.rows.iloc[places], told)

    def fitted(self, model: Any) -> Any:
        """Return the model, fitted to the rows."""
        columns = [
            np.asarray(one, dtype=np.float64 if isinstance(one[0], float) else object)
            for one in self.told.values()
        ]
        told = columns[0] if len(columns) == 1 else np.stack(columns, axis=1)
        with warnings.catch_warnings():  # what has not converged is judged as it is
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(self.rows, told)


def frame(features: Iterable[Column | tuple[str, Kind]], cells: Mapping[str, Sequence[Any]]) -> Any:
    """Return prepared cells as the data frame that the pipeline takes.

    A gap is NaN in all columns, as readers of tables have it who do not know of hubtrain.
    """
    columns = {}
    for one in features:
        name, kind = (one.name, one.kind) if isinstance(one, Column) else one
        if kind == "number":
            columns[name] = pd.Series(cells[name], dtype="float64")
        else:
            said = [float("nan") if cell is None else cell for cell in cells[name]]
            columns[name] = pd.Series(said, dtype="object")
    return pd.DataFrame(columns)
