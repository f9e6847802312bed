"""What training would make of a table, before anything is rented. Light."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from worker.bars import Bars, by_class, by_number
from worker.splits import Splits
from worker.task import DataReport
from worker.tasks.tabular import findings
from worker.tasks.tabular.cost import width
from worker.tasks.tabular.dealing import fold_count
from worker.tasks.tabular.params import TabularParams
from worker.tasks.tabular.table import Table, read


def inspect(params: TabularParams, splits: Splits) -> DataReport:
    """Return what there is to learn from. Raises `BadData`, `BadConfig`.

    Of a split of which only the first rows are there, what a column is and which classes there are
    is a guess, and counts are scaled up to `total`.
    """
    table = read(splits, params)
    train, seen = splits["train"], len(table.train)
    wanted = params.taken(train.total)
    scale = 1.0 if table.train.whole else max(1.0, wanted / max(1, seen))
    judging = len(table.valid) if table.valid else round(len(table.held) * scale)
    rows = round((seen - len(table.held)) * scale)
    return DataReport(
        findings=tuple(findings.told(table, params, scale, fold_count(rows))),
        rows=rows,
        valid_rows=judging,
        units=rows * sum(map(width, table.features)),
        steps=params.num_trials,
        classes=max((len(one) for one in table.classes.values()), default=0),
        bars=tuple(_bars(table, scale)),
    )


def _bars(table: Table, scale: float) -> Iterator[Bars]:
    """Yield how many rows there are of each class, or with which numbers, by target."""
    for name, told in table.train.told.items():
        title = f"Rows by {name}"
        if table.numbers:
            yield by_number(title, map(float, told), scale)
        else:
            yield by_class(title, Counter(map(str, told)), scale)
