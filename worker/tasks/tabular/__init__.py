"""Tables: classes and numbers told from columns of all kinds, by scikit-learn and XGBoost."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from worker.answers import Kind
from worker.errors import BadConfig
from worker.exchange import Answering
from worker.task import (
    DataReport,
    Field,
    Footprint,
    Measure,
    ModelFacts,
    Page,
    Run,
    Sample,
    Splits,
    Task,
)
from worker.tasks.tabular import cost, report
from worker.tasks.tabular.loading import loading
from worker.tasks.tabular.params import SEARCH_FILE, Ignored, Question, TabularParams
from worker.tasks.tabular.samples import sample

_AVERAGES = ("", "_macro", "_weighted", "_micro")


class TabularTask(Task[TabularParams]):
    """Training on tables, from no model and without torch."""

    name = "tabular"
    help = "Train a model on a table: classes or numbers."
    params = TabularParams
    ignored = Ignored
    also_called: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "tabular-classification": {"task": "classification"},
        "tabular-binary-classification": {"task": "classification"},
        "tabular-multi-class-classification": {"task": "classification"},
        "tabular-multi-label-classification": {"task": "classification"},
        "tabular-regression": {"task": "regression"},
        "tabular-single-column-regression": {"task": "regression"},
        "tabular-multi-column-regression": {"task": "regression"},
    }

    starts_from_model = False
    uses_accelerators = False
    library = "sklearn"
    packages = ("scikit-learn", "xgboost-cpu", "xgboost", "pandas", "numpy", "optuna", "skops")
    model_files = ("*.skops", "*.joblib", "*.pkl")
    checkpoint_files = (SEARCH_FILE,)
    question = Question

    def sample(self, given: Mapping[str, Any]) -> Sample:
        """Return a table of classes, or of numbers."""
        return sample(given)

    def unit(self, params: TabularParams) -> str:
        """Count cells: a column more takes longer, as a row more does."""
        return "cells"

    def pipeline_tag(self, params: TabularParams) -> str:
        """Return what the model does."""
        return f"tabular-{params.task}"

    def shortened(self, params: TabularParams, steps: int) -> Mapping[str, Any]:
        """Return the settings of a search of so many trials."""
        return {"num_trials": min(params.num_trials, steps)}

    def inspect(
        self, params: TabularParams, splits: Splits, facts: ModelFacts, tokenizer: Any
    ) -> DataReport:
        """Read the table as training will."""
        return report.inspect(params, splits)

    def footprint(
        self,
        params: TabularParams,
        facts: ModelFacts,
        data: DataReport,
        memory: float | None = None,
    ) -> Footprint:
        """Return the memory for the table and its copies."""
        return cost.footprint(data)

    def flops(self, params: TabularParams, facts: ModelFacts, data: DataReport) -> float:
        """Return the work of the search."""
        return cost.operations(params, data)

    def pushed_bytes(self, params: TabularParams, stored: float) -> float:
        """Return what a larger model of this kind takes."""
        return cost.MODEL_BYTES

    def shown(self, params: TabularParams) -> Mapping[str, Any]:
        """Return what is learned, by what, and how long it is searched for."""
        names = ("task", "target_columns", "model", "num_trials", "time_limit", "seed")
        return {name: getattr(params, name) for name in names}

    def memory_advice(self, params: TabularParams) -> str:
        """Return what makes the table smaller."""
        return "fewer rows with --max-samples, or fewer columns with --drop-columns"

    def measures(self, params: TabularParams) -> tuple[Measure, ...]:
        """Return accuracy, or the share of the variance that is told, and the loss."""
        if params.numbers:
            better = (Measure("valid_r2", "higher"),)
            errors = ("mae", "rmse", "mse", "rmsle", "loss")
            return (*better, *(Measure(f"valid_{name}") for name in errors), Measure("loss"))
        telling = ["accuracy", "auc", *(f"f1{average}" for average in _AVERAGES)]
        return (
            *(Measure(f"valid_{name}", "higher") for name in telling),
            Measure("valid_loss"),
            Measure("loss"),
        )

    def try_it(self, params: TabularParams, model: str) -> str:
        """Return a question to the model."""
        return f"hubtrain tabular --inference --model {shlex.quote(model)} --data-path rows.csv"

    def loading(self, params: TabularParams, model: str, *, adapter: bool) -> str:
        """Return the Python that loads the model and asks it, wherever its folder comes from."""
        return loading(params, model)

    def answer(self, model: str, question: Question) -> Any:
        """Return the class of each row, with probabilities, or its number."""
        from worker.tasks.tabular.training.answering import answer

        return answer(model, question)

    def answering(self, model: str, question: Question, together: int) -> Answering:
        """Return the model; it answers with classes and their scores, or a number."""
        from worker.tasks.tabular.training.answering import answering

        return answering(model, question, together)

    def can_answer(self, facts: ModelFacts) -> None:
        """Refuse what was not trained here."""
        if not isinstance(facts.config.get("hubtrain"), Mapping):
            raise BadConfig(f"{facts.name} is no model for tables that hubtrain trained.")

    def page(self, facts: ModelFacts) -> Page:
        """Return what is asked for: a row, with the columns that the model knows."""
        told = facts.config["hubtrain"]
        rows = Field("rows", "Row", "row", columns=tuple(told.get("columns", ())))
        if len(told.get("targets", ())) > 1:
            return Page("tabular-classification", (rows,))
        kind: Kind = "labels" if told.get("classes") else "number"
        does = "classification" if told.get("classes") else "regression"
        return Page(f"tabular-{does}", (rows,), kind)

    def training(self) -> Callable[[TabularParams, Run], object]:
        """Return what trains."""
        # Threads that wait do not spin, which where others compute too takes ten times as long.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        from worker.tasks.tabular.training import train

        return train


TASK = TabularTask()
