"""Answers every row with the most frequent label: the least that a task can be."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from worker.columns import no_column
from worker.common import Data
from worker.contract import SAVED, Metric, Phase, Progress
from worker.params import Params
from worker.reading import load
from worker.task import DataReport, Finding, Footprint, Measure, ModelFacts, Run, Splits, Task


class MajorityParams(Data):
    """Most frequent label."""

    label_column: str = "label"
    """Column of the label."""


class Question(Params):
    """Question (--inference)."""

    row: str
    """What to tell the label of; it does not matter here."""


class MajorityTask(Task[MajorityParams]):
    """Learning which label is the most frequent."""

    name = "majority"
    help = "Learn the most frequent label."
    params = MajorityParams
    extras = ("worker",)
    starts_from_model = False
    library = "json"
    question = Question

    def inspect(
        self, params: MajorityParams, splits: Splits, facts: ModelFacts, tokenizer: Any
    ) -> DataReport:
        """Count the labels."""
        found, rows = labels(params, splits), splits["train"].total
        text = f"{rows:,} rows with {len(found)} labels in {splits['train'].source}"
        return DataReport((Finding("ok", "data", text),), rows=rows, units=rows, steps=1)

    def footprint(
        self,
        params: MajorityParams,
        facts: ModelFacts,
        data: DataReport,
        memory: float | None = None,
    ) -> Footprint:
        """Return what Python takes."""
        return Footprint(1e8, 1e8, 2e8, "labels alone are kept")

    def flops(self, params: MajorityParams, facts: ModelFacts, data: DataReport) -> float:
        """Return one addition a row."""
        return float(data.rows)

    def measures(self, params: MajorityParams) -> tuple[Measure, ...]:
        """Return the share of rows that are answered right."""
        return (Measure("accuracy", "higher"),)

    def try_it(self, params: MajorityParams, model: str) -> str:
        """Return a question to the model."""
        return f"hubtrain majority --inference --model {model} --row …"

    def loading(self, params: MajorityParams, model: str, *, adapter: bool) -> str:
        """Return where the answer is."""
        return "`config.json` holds the label that every row gets."

    def answer(self, model: str, question: Question) -> str:
        """Return the label that every row gets."""
        told: dict[str, str] = json.loads((Path(model) / "config.json").read_text("utf-8"))
        return told["label"]

    def train(self, params: MajorityParams, run: Run) -> None:
        """Count the labels and keep the most frequent."""
        counted = labels(params, load(run.data))
        (label, count), rows = counted.most_common(1)[0], counted.total()
        run.emit(Progress(step=1, total_steps=1, units=rows, unit=self.unit(params)))
        run.emit(Metric(step=1, values={"accuracy": count / rows}))
        (run.output / "config.json").write_text(json.dumps({"label": label}), "utf-8")
        run.emit(Phase(name=SAVED))


def labels(params: MajorityParams, splits: Splits) -> Counter[str]:
    """Return how often each label is there. Raises `BadData` in the user's words."""
    split, column = splits["train"], params.label_column
    if column not in split.columns:
        raise no_column(column, split.columns, split.source, "--label-column")
    return Counter(str(row[column]) for _, row in split.first(params.max_samples))


TASK = MajorityTask()
