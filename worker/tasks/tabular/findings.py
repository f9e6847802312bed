"""What there is to say about a table before anything is rented."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from worker.families.balance import doubtful
from worker.finding import Finding
from worker.shorten import some
from worker.splits import in_order
from worker.tasks.tabular.columns import Column
from worker.tasks.tabular.estimators import ESTIMATORS
from worker.tasks.tabular.leaks import gives_away
from worker.tasks.tabular.params import TabularParams
from worker.tasks.tabular.table import Table

KINDS = {
    "number": "numbers",
    "category": "categories",
    "date": "dates, as year, month, day, weekday, day of the year and hour",
    "text": "texts, by their words",
}


def told(table: Table, params: TabularParams, scale: float, folds: int) -> Iterator[Finding]:
    """Yield all there is to say; `scale` is how many rows stand for each that was seen."""
    yield _size(table, params, scale)
    yield _learned_from(table, params)
    yield from map(_left_out, filter(_surprising, table.columns))
    yield from _untold(table)
    yield from _oddities(table)
    for target in table.classes:
        yield from _classes(table, target, scale)
    for target in table.targets:
        yield from filter(None, (_tells_all(table, column, target) for column in table.features))
    yield _plan(params, folds)


def _size(table: Table, params: TabularParams, scale: float) -> Finding:
    rows = round(len(table.train) * scale)
    if table.valid is not None:
        judged = f"{table.valid.source} judges"
    else:
        share = f"{params.held_out:.3g}"
        judged = f"{round(len(table.held) * scale):,} held out to judge (--valid-split {share})"
    what = [_learned(table, target) for target in table.targets]
    shown = what[0] if len(what) == 1 else f"{len(what)} targets, a model each: {some(what)}"
    return Finding("ok", "data", f"{rows:,} rows · {shown} · {judged}")


def _learned(table: Table, target: str) -> str:
    """Return what is learned of a target: its classes and their shares, or its numbers."""
    said = table.train.told[target]
    if table.numbers:
        values = sorted(float(value) for value in said)
        middle = values[len(values) // 2]
        return f"{target} from {values[0]:.4g} to {values[-1]:.4g}, half of them up to {middle:.4g}"
    counts = Counter(map(str, said))
    classes = table.classes[target]
    shares = some(f"{label} {counts[label] / len(said):.0%}" for label in classes)
    return f"{len(classes)} classes of {target}: {shares}"


def _learned_from(table: Table, params: TabularParams) -> Finding:
    parts = []
    for kind, called in KINDS.items():
        if names := [column.name for column in table.features if column.kind == kind]:
            parts.append(f"{called}: {some(names)}")
    gaps = [
        f"{column.name} {column.gaps / len(table.train):.0%}"
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


def _untold(table: Table) -> Iterator[Finding]:
    names = " or ".join(f'"{name}"' for name in table.targets)
    for rows in filter(None, (table.train, table.valid)):
        if n := len(rows.untold):
            what = "1 row has" if n == 1 else f"{n:,} rows have"
            lines = some(map(str, rows.untold))
            said = f"{what} no {names} and will be left out: lines {lines}"
            yield Finding("warn", "data", f"{rows.source}: {said}")


def _oddities(table: Table) -> Iterator[Finding]:
    for column in table.features:
        if column.odd and column.kind in {"number", "date"}:
            cells = (
                "1 cell that is" if len(column.odd) == 1 else f"{len(column.odd):,} cells that are"
            )
            said = f'"{column.name}" is taken for {column.kind}s and has {cells} none'
            shown = some(f'"{odd}"' for odd in dict.fromkeys(column.odd))
            fix = f"--categorical-columns {column.name} if these mean something"
            yield Finding("warn", "data", f"{said}: {shown}; they count as missing", fix)


def _classes(table: Table, target: str, scale: float) -> Iterator[Finding]:
    """Yield what is odd about the classes of a target, which is named where there are several."""
    counts = Counter(map(str, table.train.told[target]))
    of = f"{target}: " if len(table.targets) > 1 else ""
    for finding in doubtful(counts, "rows", scale):
        yield replace(finding, text=of + finding.text)
    single = [label for label in in_order(counts) if counts[label] == 1]
    if single and table.train.whole and table.valid is None:
        said = f"{of}no row is left to judge by of {some(single)}, of which there is one"
        yield Finding("warn", "data", said)


def _tells_all(table: Table, column: Column, target: str) -> Finding | None:
    """Return that a column gives the answer away, as the target under another name does."""
    how = gives_away(column, table.train.cells[column.name], table.train.told[target])
    if not how:
        return None
    return Finding(
        "warn",
        "data",
        f'"{column.name}" alone tells "{target}" {how}. If it is not known when the '
        "model is asked, the model is worth nothing",
        f"--drop-columns {column.name}",
    )


def _plan(params: TabularParams, folds: int) -> Finding:
    judged = (
        f"judged by {folds}-fold cross-validation" if folds > 1 else "judged by a fifth of the rows"
    )
    trials = "its usual settings" if params.num_trials == 1 else f"{params.num_trials} settings"
    return Finding(
        "ok", "data", f"{params.model}: {trials}, {judged}, within {params.time_limit:g} s"
    )
