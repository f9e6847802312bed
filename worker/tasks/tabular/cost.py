"""What training on a table costs: memory and time, from its size alone.

Time is measured core-seconds of one fit to a million cells (`Estimator.cost`), told as the
arithmetic that the estimate takes a core to do in a second.
"""

from __future__ import annotations

from worker.task import DataReport, Footprint
from worker.tasks.tabular.columns import DATE_PARTS, WORDS_KEPT, Column
from worker.tasks.tabular.dealing import fold_count
from worker.tasks.tabular.estimators import ESTIMATORS
from worker.tasks.tabular.params import TabularParams

LIBRARIES = 0.45e9
"""Bytes that Python, scikit-learn, XGBoost, pandas and the page of the job take."""

READ_BYTES, FITTED_BYTES = 80.0, 60.0
"""Bytes of a cell while it is read, and of its copies while a model is fitted."""

OPERATIONS = 8e10
"""Operations that the estimate takes a core to do in a second, see `preflight/estimate.py`."""

OVERHEAD_SECONDS = 0.05
"""Seconds of a fit, however small the table."""

MODEL_BYTES = 20e6
"""Bytes that are pushed, for the estimate: a forest of a few hundred trees."""

CORES = 2
"""Cores of the machine whose time limit caps the search."""


def width(column: Column) -> int:
    """Return how many numbers a model is given of a cell; of categories measured as one."""
    return {"date": len(DATE_PARTS), "text": WORDS_KEPT}.get(str(column.kind), 1)


def footprint(data: DataReport) -> Footprint:
    """Return the memory for a table of so many cells."""
    expected = LIBRARIES + data.units * (READ_BYTES + FITTED_BYTES)
    return Footprint(
        low=LIBRARIES + data.units * READ_BYTES,
        expected=expected,
        high=1.2 * LIBRARIES + 2 * data.units * (READ_BYTES + FITTED_BYTES),
        explained="in main memory",
    )


def operations(params: TabularParams, data: DataReport) -> float:
    """Return the arithmetic of the search and the last fit, the search within its time limit."""
    kind = ESTIMATORS[params.model]
    # of 2 classes one is enough; measured with 4 and 10: 4.0 and 7.5 to 9 times the time of 2
    times = max(1.0, data.classes / 2) if kind.one_a_class else 1.0
    targets = params.target_columns.count(",") + 1
    fit = targets * (OVERHEAD_SECONDS + kind.cost * times * data.units / 1e6)
    search = min(params.num_trials * fold_count(data.rows) * fit, CORES * params.time_limit)
    return (search + fit) * OPERATIONS
