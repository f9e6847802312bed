"""What there is to say about a table before anything is rented."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from worker.finding import Finding
from worker.shorten import some
from worker.splits import in_order
from worker.tasks.tabular.columns import Column, text
from worker.tasks.tabular.estimators import ESTIMATORS
from worker.tasks.tabular.params import TabularParams
from worker.tasks.tabular.table import Table

UNEQUAL = 0.05
"""Share of the rows below which a class is so rare that accuracy says little."""

FEW = 5
"""Rows of a class below which it is hardly learned."""

OFTEN = 5
"""Rows of each value above which it is no chance that a column's values tell the class."""


def told(table: Table, params: TabularParams, scale: float, folds: int) -> Iterator[Finding]:
    """Yield all there is to say; `scale` is how many rows stand for each that was seen."""
    yield _size(table, params, scale)
    yield _learned_from(table, params)
    yield from map(_left_out, filter(_surprising, table.columns))
    yield from _unlabelled(table)
    yield from _oddities(table)
    yield from _classes(table)
    yield from filter(None, (_tells_all(table, column) for column in table.features))
    yield _plan(params, folds)


def _size(table: Table, params: TabularParams, scale: float) -> Finding:
    labels, rows = table.train.labels, round(len(table.train.labels) * scale)
    counts = Counter(labels)
    classes = [f"{label} {counts[label] / len(labels):.0%}" for label in table.classes]
    if table.valid is not None:
        judged = f"{table.valid.source} judges"
    else:
        share = f"{params.held_out:.3g}"
        judged = f"{round(len(table.held) * scale):,} held out to judge (--valid-split {share})"
    text_ = f"{rows:,} rows · {len(counts)} classes of {table.target}: {some(classes)} · {judged}"
    return Finding("ok", "data", text_)


def _learned_from(table: Table, params: TabularParams) -> Finding:
    kinds = {"number": "numbers", "category": "categories"}
    parts = []
    for kind, called in kinds.items():
        if names := [column.name for column in table.features if column.kind == kind]:
            parts.append(f"{called}: {some(names)}")
    gaps = [
        f"{column.name} {column.gaps / len(table.train.labels):.0%}"
        for column in table.features
        if column.gaps
    ]
    if gaps:
        parts.append(f"gaps: {some(gaps)}, {_filled(params)}")
    return Finding("ok", "data", " · ".join(parts))


def _filled(params: TabularParams) -> str:
    bears = ESTIMATORS[params.model].bears_gaps and not params.numerical_imputer
    numbers = "kept as they are" if bears else f"filled ({params.numerical_imputer or 'median'})"
    return f"numbers {numbers}, categories {params.categorical_imputer or 'as one of their own'}"


def _surprising(column: Column) -> bool:
    return column.kind is None and column.why not in {"as asked", "other columns are named"}


def _left_out(column: Column) -> Finding:
    said = f'"{column.name}" is left out: {column.why}'
    fix = f"{column.instead} {column.name} takes it all the same" if column.instead else ""
    return Finding("warn", "data", said, fix)


def _unlabelled(table: Table) -> Iterator[Finding]:
    for rows in filter(None, (table.train, table.valid)):
        if n := len(rows.unlabelled):
            what = "1 row has" if n == 1 else f"{n:,} rows have"
            lines = some(map(str, rows.unlabelled))
            said = f'{what} no "{table.target}" and will be left out: lines {lines}'
            yield Finding("warn", "data", f"{rows.source}: {said}")


def _oddities(table: Table) -> Iterator[Finding]:
    for column in table.features:
        if column.kind == "number" and column.odd:
            cells = (
                "1 cell that is" if len(column.odd) == 1 else f"{len(column.odd):,} cells that are"
            )
            said = f'"{column.name}" is taken for numbers and has {cells} none'
            shown = some(f'"{odd}"' for odd in dict.fromkeys(column.odd))
            fix = f"--categorical-columns {column.name} if these mean something"
            yield Finding("warn", "data", f"{said}: {shown}; they count as missing", fix)


def _classes(table: Table) -> Iterator[Finding]:
    counts = Counter(table.train.labels)
    few = [label for label in in_order(counts) if counts[label] < FEW]
    if few and table.train.whole:
        said = f"fewer than {FEW} rows of {some(few)}: hardly learned"
        single = [label for label in few if counts[label] == 1]
        said += f", and of {some(single)} no row is left to judge by" if single else ""
        yield Finding("warn", "data", said)
    rarest, rows = min(counts.items(), key=lambda pair: pair[1])
    share = rows / len(table.train.labels)
    if share < UNEQUAL:
        said = (
            f"the classes are very unequal: {rarest} is {share:.1%} of the rows. "
            "A model that never says it may be accurate: look at f1 and recall too"
        )
        yield Finding("warn", "data", said)


def _tells_all(table: Table, column: Column) -> Finding | None:
    """Return that a column gives the answer away, as the target under another name does."""
    if not 1 < column.different <= max(len(table.classes), len(table.train.labels) / OFTEN):
        return None
    if not _determines(table.train.cells[column.name], table.train.labels):
        return None
    return Finding(
        "warn",
        "data",
        f'"{column.name}" alone tells "{table.target}" in every row. If it is not known when the '
        "model is asked, the model is worth nothing",
        f"--drop-columns {column.name}",
    )


def _determines(cells: Sequence[object], labels: Sequence[str]) -> bool:
    label_of: dict[str | None, str] = {}
    return all(label_of.setdefault(text(c), y) == y for c, y in zip(cells, labels, strict=True))


def _plan(params: TabularParams, folds: int) -> Finding:
    judged = (
        f"judged by {folds}-fold cross-validation" if folds > 1 else "judged by a fifth of the rows"
    )
    trials = "its usual settings" if params.num_trials == 1 else f"{params.num_trials} settings"
    return Finding(
        "ok", "data", f"{params.model}: {trials}, {judged}, within {params.time_limit:g} s"
    )
