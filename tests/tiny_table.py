"""A small table as people have them: gaps, categories, days, texts; classes and numbers to tell."""

from __future__ import annotations

import csv
import random
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from worker import tasks
from worker.contract import DataRef, Event
from worker.task import Run

TASK = tasks.load("tabular")
_WORDS = "cheap clean cold dear fine good kind large late loud new old quiet small warm wide"
WORDS = _WORDS.split()
ROWS = 240


def rows(count: int = ROWS) -> list[dict[str, Any]]:
    """Return rows of which `rent`, `dear` and `part` can be learned, always the same."""
    chance, found = random.Random(1), []
    for number in range(count):
        metres, year = chance.gauss(80, 25), chance.randint(1990, 2020)
        shop, words = chance.randint(0, 69), chance.sample(WORDS, 5)
        rent = 12 * metres + 15 * (year - 2000) + 250 * ("new" in words) + 8 * (shop % 9)
        rent += chance.gauss(0, 30) + 500
        found.append(
            {
                "id": number,
                "metres": "" if chance.random() < 0.05 else round(metres, 2),
                "built": "" if chance.random() < 0.05 else f"{28 - number % 28:02}.06.{year}",
                "note": " ".join(words),
                "agent": f"agent {shop}",
                "heating": chance.choice(["gas", "oil", ""]),
                "rent": round(rent, 2),
                "dear": "yes" if rent > 1500 else "no",
                "part": "hill" if year < 2000 else "town" if metres > 80 else "harbour",
            }
        )
    return found


TARGETS = ("rent", "dear", "part")


def without(*targets: str) -> str:
    """Return the columns that would tell these, for `drop_columns`."""
    return ",".join(name for name in TARGETS if name not in targets)


def write(path: Path, table: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV."""
    listed = list(table)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(listed[0]))
        writer.writeheader()
        writer.writerows(listed)


def trained(
    folder: Path,
    *targets: str,
    stop: threading.Event | None = None,
    last: Path | None = None,
    name: str = "out",
    **settings: Any,
) -> list[Event]:
    """Train in this process on `rows.csv` of the folder, and return what was told.

    `stop` is set after the first trial.
    """
    told: list[Event] = []

    def emit(event: Event) -> None:
        told.append(event)
        if stop is not None and event.kind == "progress":
            stop.set()

    if not (folder / "rows.csv").exists():
        write(folder / "rows.csv", rows())
    (folder / name).mkdir(exist_ok=True)
    given = {"data_path": "rows.csv", "target_columns": list(targets), "num_trials": 2, **settings}
    if all(target in TARGETS for target in targets):
        given.setdefault("drop_columns", without(*targets))
    ref = DataRef(folder=str(folder), train=("rows.csv",))
    run = Run(None, ref, folder / name, folder, emit, last, stop or threading.Event())
    TASK.train(TASK.params(**given), run)
    return told


def measured(told: Iterable[Event]) -> dict[str, float]:
    """Return the last value of each measurement."""
    return {k: v for e in told if e.kind == "metric" for k, v in e.values.items()}
