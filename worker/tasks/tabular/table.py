"""What training makes of rows: columns to learn from, what is told of each row, rows that judge.

The same for the check and the training, so that one says what the other does. Standard library
only; raises `BadData` and `BadConfig` in the user's words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worker.columns import no_column
from worker.errors import BadData
from worker.shorten import some
from worker.splits import Split, Splits, hold_out_of_each, in_order, missing, parted
from worker.tasks.tabular.choosing import columns_of
from worker.tasks.tabular.columns import Column, Kind, number, text
from worker.tasks.tabular.dealing import strata
from worker.tasks.tabular.params import TabularParams, named
from worker.tasks.tabular.refusals import refuse_no_numbers, refuse_told, refuse_unknown

Cell = float | str | None
Cells = Mapping[str, Sequence[Any]]
Told = dict[str, list[str | float]]
"""What is to be learned of each row, by target: a class, or a number."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one split by column, as read, without those of which nothing is told."""

    source: str
    cells: Cells
    told: Told
    untold: tuple[int, ...]
    """Numbers of the rows left out because a target says nothing."""

    whole: bool
    """Whether these are all rows of the split."""

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(next(iter(self.told.values())))


@dataclass(frozen=True, slots=True)
class Table:
    """Everything that training needs of the examples."""

    targets: tuple[str, ...]
    numbers: bool
    """Whether numbers are told, and no classes."""

    train: Rows
    valid: Rows | None
    """Rows of a validation split; none where some of `train` are held out."""

    columns: tuple[Column, ...]
    """All but the targets, as the training rows show them."""

    held: frozenset[int]
    """Training rows that are held out for validation, by their place from 0."""

    @property
    def features(self) -> tuple[Column, ...]:
        """The columns that are learned from."""
        return tuple(column for column in self.columns if column.kind)

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """The classes there are, by target; none where numbers are told."""
        if self.numbers:
            return {}
        return {name: in_order(set(map(str, told))) for name, told in self.train.told.items()}

    def learned(self) -> tuple[dict[str, list[Cell]], Told]:
        """Return the cells by feature, and what is told, of the rows that are learned from."""
        kept, _ = parted(range(len(self.train)), self.held)
        return _taken(self.features, self.train, kept)

    def judging(self) -> tuple[dict[str, list[Cell]], Told]:
        """Return the same of the validation rows."""
        if self.valid is not None:
            return _taken(self.features, self.valid, range(len(self.valid)))
        return _taken(self.features, self.train, sorted(self.held))


def read(splits: Splits, params: TabularParams) -> Table:
    """Return the table that `params` make of the splits. Raises `BadData`, `BadConfig`."""
    targets = _targets(splits["train"], params)
    train = _rows(splits["train"], targets, params, params.max_samples)
    for name in targets:
        refuse_told(train.told[name], name, train.source, params, whole=train.whole)
    columns = columns_of(train.cells, train.source, targets, params)
    if "valid" not in splits:
        dealt = strata(list(train.told.values()))
        held = hold_out_of_each(dealt, params.held_out, params.seed)
        return Table(targets, params.numbers, train, None, columns, held)
    valid = _rows(splits["valid"], targets, params)
    for name in targets:
        known = train.told[name]
        refuse_unknown(valid.told[name], known, name, valid.source, whole=train.whole)
    if lacking := [c.name for c in columns if c.kind and c.name not in valid.cells]:
        raise BadData(
            f"{valid.source} lacks columns that {train.source} has: {some(lacking)}.",
            fix=f"Add them, or leave them out: --drop-columns {','.join(lacking)}",
        )
    return Table(targets, params.numbers, train, valid, columns, frozenset())


def prepared(features: Iterable[tuple[str, Kind]], cells: Cells) -> dict[str, list[Cell]]:
    """Return cells as a model takes them: numbers as such, all else as text, none for a gap."""
    found: dict[str, list[Cell]] = {}
    for name, kind in features:
        if kind == "number":
            found[name] = [None if missing(cell) else number(cell) for cell in cells[name]]
        else:
            found[name] = [text(cell) for cell in cells[name]]
    return found


def _taken(
    features: Iterable[Column], rows: Rows, places: Iterable[int]
) -> tuple[dict[str, list[Cell]], Told]:
    chosen = list(places)
    kinds = [(column.name, column.kind) for column in features if column.kind]
    cells = {name: [rows.cells[name][i] for i in chosen] for name, _ in kinds}
    told = {name: [values[i] for i in chosen] for name, values in rows.told.items()}
    return prepared(kinds, cells), told


def _targets(split: Split, params: TabularParams) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(named(params.target_columns, split.columns)))
    for name in names or ("",):
        if name not in split.columns:
            raise no_column(name, split.columns, split.source, "--target-columns")
    return names


def _rows(
    split: Split, targets: Sequence[str], params: TabularParams, most: int | None = None
) -> Rows:
    if lacking := [name for name in targets if name not in split.columns]:
        raise BadData(f'{split.source} has no column "{lacking[0]}", which is to be learned.')
    names: Mapping[str, Sequence[str]] = split.classes
    cells: dict[str, list[Any]] = {name: [] for name in split.columns if name not in targets}
    told: Told = {name: [] for name in targets}
    untold: list[int] = []
    odd: dict[str, dict[int, str]] = {name: {} for name in targets}
    for line, row in split.first(most):
        if any(missing(row.get(name)) for name in targets):
            untold.append(line)
            continue
        for name in targets:
            said = row[name] if params.numbers else _called(row[name], names.get(name))
            one = number(said) if params.numbers else text(said)
            if one is None:
                odd[name][line] = str(said)
            told[name].append(0.0 if one is None else one)
        for name, column in cells.items():
            column.append(_called(row.get(name), names.get(name)))
    for name in targets:
        refuse_no_numbers(odd[name], name, split.source)
    read = len(told[targets[0]]) + len(untold)
    whole = read >= min(split.total, most or split.total)
    return Rows(split.source, cells, told, tuple(untold), whole)


def _called(cell: Any, names: Sequence[str] | None) -> Any:
    """Return the name that the data declare for a number; the cell itself where they do not."""
    known = names and isinstance(cell, int) and 0 <= cell < len(names)
    return names[cell] if names and known else cell
