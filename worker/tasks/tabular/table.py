"""What training makes of rows: columns to learn from, classes to tell, and rows that judge.

The same for the check and the training, so that one says what the other does. Standard library
only; raises `BadData` and `BadConfig` in the user's words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worker.columns import no_column
from worker.errors import BadConfig, BadData
from worker.shorten import some
from worker.splits import Split, Splits, hold_out_of_each, in_order, missing, parted
from worker.tasks.tabular.columns import Column, Kind, number, text, told
from worker.tasks.tabular.params import TabularParams, named
from worker.tasks.tabular.refusals import refuse_labels, refuse_uncalibrated, refuse_unknown

Cell = float | str | None
Cells = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one split by column, as read, without those that have no class."""

    source: str
    cells: Cells
    labels: Sequence[str]
    unlabelled: tuple[int, ...]
    """Numbers of the rows left out because they have no class."""

    whole: bool
    """Whether these are all rows of the split."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, the target left out."""
        return tuple(self.cells)


@dataclass(frozen=True, slots=True)
class Table:
    """Everything that training needs of the examples."""

    target: str
    train: Rows
    valid: Rows | None
    """Rows of a validation split; none where some of `train` are held out."""

    columns: tuple[Column, ...]
    """All but the target, as the training rows show them."""

    held: frozenset[int]
    """Training rows that are held out for validation, by their place from 0."""

    @property
    def features(self) -> tuple[Column, ...]:
        """The columns that are learned from."""
        return tuple(column for column in self.columns if column.kind)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes there are."""
        return in_order(set(self.train.labels))

    def learned(self) -> tuple[dict[str, list[Cell]], list[str]]:
        """Return the cells by feature, and the class, of each row that is learned from."""
        kept, _ = parted(range(len(self.train.labels)), self.held)
        return _taken(self.features, self.train, kept)

    def judging(self) -> tuple[dict[str, list[Cell]], list[str]]:
        """Return the same of each validation row."""
        if self.valid is not None:
            return _taken(self.features, self.valid, range(len(self.valid.labels)))
        return _taken(self.features, self.train, sorted(self.held))


def read(splits: Splits, params: TabularParams) -> Table:
    """Return the table that `params` make of the splits. Raises `BadData`, `BadConfig`."""
    target = _target(splits["train"], params)
    train = _rows(splits["train"], target, params.max_samples)
    refuse_labels(train.labels, target, train.source, whole=train.whole)
    if train.whole:
        refuse_uncalibrated(train.labels, params)
    columns = _columns(train, target, params)
    if "valid" not in splits:
        held = hold_out_of_each(train.labels, params.held_out, params.seed)
        return Table(target, train, None, columns, held)
    valid = _rows(splits["valid"], target)
    refuse_unknown(valid.labels, train.labels, target, valid.source, whole=train.whole)
    if lacking := [c.name for c in columns if c.kind and c.name not in valid.cells]:
        raise BadData(
            f"{valid.source} lacks columns that {train.source} has: {some(lacking)}.",
            fix=f"Add them, or leave them out: --drop-columns {','.join(lacking)}",
        )
    return Table(target, train, valid, columns, frozenset())


def prepared(features: Iterable[tuple[str, Kind]], cells: Cells) -> dict[str, list[Cell]]:
    """Return cells as a model takes them: numbers as such, categories as text, none for a gap."""
    found: dict[str, list[Cell]] = {}
    for name, kind in features:
        if kind == "number":
            found[name] = [None if missing(cell) else number(cell) for cell in cells[name]]
        else:
            found[name] = [text(cell) for cell in cells[name]]
    return found


def _taken(
    features: Iterable[Column], rows: Rows, places: Iterable[int]
) -> tuple[dict[str, list[Cell]], list[str]]:
    chosen = list(places)
    kinds = [(column.name, column.kind) for column in features if column.kind]
    cells = {name: [rows.cells[name][i] for i in chosen] for name, _ in kinds}
    return prepared(kinds, cells), [rows.labels[i] for i in chosen]


def _target(split: Split, params: TabularParams) -> str:
    names = named(params.target_columns, split.columns)
    if len(names) > 1:
        raise BadConfig(
            f"{len(names)} target columns ({', '.join(names)}): one model for several is not there "
            "yet.",
            fix="Train one for each and leave the others out: "
            f"--target-columns {names[0]} --drop-columns {','.join(names[1:])}",
        )
    if not names or names[0] not in split.columns:
        raise no_column("".join(names), split.columns, split.source, "--target-columns")
    return names[0]


def _rows(split: Split, target: str, most: int | None = None) -> Rows:
    if target not in split.columns:
        raise BadData(f'{split.source} has no column "{target}", which is to be learned.')
    names: Mapping[str, Sequence[str]] = split.classes
    cells: dict[str, list[Any]] = {name: [] for name in split.columns if name != target}
    labels: list[str] = []
    unlabelled: list[int] = []
    for line, row in split.first(most):
        label = text(_called(row.get(target), names.get(target)))
        if label is None:
            unlabelled.append(line)
            continue
        labels.append(label)
        for name, column in cells.items():
            column.append(_called(row.get(name), names.get(name)))
    read = len(labels) + len(unlabelled)
    whole = read >= min(split.total, most or split.total)
    return Rows(split.source, cells, labels, tuple(unlabelled), whole)


def _called(cell: Any, names: Sequence[str] | None) -> Any:
    """Return the name that the data declare for a number; the cell itself where they do not."""
    known = names and isinstance(cell, int) and 0 <= cell < len(names)
    return names[cell] if names and known else cell


def _columns(train: Rows, target: str, params: TabularParams) -> tuple[Column, ...]:
    wanted = _wanted(train, target, params)
    only_named = bool(params.categorical_columns and params.numerical_columns)
    dropped = set(_there(params.drop_columns, train, target, "--drop-columns"))

    def one(name: str) -> Column:
        if name in dropped:
            return Column(name, None, "as asked")
        if name == params.id_column and name not in wanted:
            return Column(name, None, "it names the rows")
        if only_named and name not in wanted:
            return Column(name, None, "other columns are named")
        return told(name, train.cells[name], wanted.get(name))

    found = tuple(map(one, train.columns))
    if not any(column.kind for column in found):
        why = "; ".join(f"{column.name}: {column.why}" for column in found)
        raise BadData(f"{train.source} has no column to learn {target} from. {why}".strip())
    return found


def _wanted(train: Rows, target: str, params: TabularParams) -> dict[str, Kind]:
    if params.id_column not in {None, "", "id", *train.columns}:
        raise no_column(str(params.id_column), train.columns, train.source, "--id-column")
    categories = _there(params.categorical_columns, train, target, "--categorical-columns")
    numbers = _there(params.numerical_columns, train, target, "--numerical-columns")
    if twice := sorted(set(categories) & set(numbers)):
        raise BadConfig(f"{some(twice)}: both --categorical-columns and --numerical-columns.")
    for name in numbers:
        if all(missing(cell) or number(cell) is None for cell in train.cells[name]):
            raise BadConfig(
                f'"{name}" of {train.source} holds no numbers.', fix=f"--categorical-columns {name}"
            )
    wanted: dict[str, Kind] = dict.fromkeys(categories, "category")
    return wanted | dict.fromkeys(numbers, "number")


def _there(said: str | None, train: Rows, target: str, flag: str) -> list[str]:
    names = named(said, train.columns)
    for name in names:
        if name == target:
            raise BadConfig(f'"{name}" is the target.', fix=f"Leave it out of {flag}.")
        if name not in train.cells:
            raise no_column(name, train.columns, train.source, flag)
    return names
