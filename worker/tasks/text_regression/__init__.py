"""Text regression: which number a text has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from worker.exchange import Answering
from worker.families.numbers import MEASURES
from worker.families.text.inference import answering
from worker.families.text.task import SequenceTask
from worker.task import DataReport, Field, Measure, ModelFacts, Page, Run, Sample, Splits
from worker.tasks.text_regression import report, samples
from worker.tasks.text_regression.params import Question, TextRegressionParams


class TextRegression(SequenceTask[TextRegressionParams]):
    """Training of models that tell a number of a text."""

    name = "text_regression"
    help = "Train a model to tell a number of a text."
    params = TextRegressionParams
    also_called: ClassVar[Mapping[str, Mapping[str, Any]]] = {"text-single-column-regression": {}}
    question = Question
    does = "tell a number of a text"
    numbers = True

    def inspect(
        self, params: TextRegressionParams, splits: Splits, facts: ModelFacts, tokenizer: Any
    ) -> DataReport:
        """Count texts and tokens, look at the numbers, and find what is broken."""
        return report.inspect(params, splits, facts, tokenizer)

    def measures(self, params: TextRegressionParams) -> tuple[Measure, ...]:
        """Return how far off the model is."""
        return MEASURES

    def sample(self, given: Mapping[str, Any]) -> Sample:
        """Return a few reviews and their stars."""
        return samples.sample()

    def answering(self, model: str, question: Question, together: int) -> Answering:
        """Return the model; it answers with numbers."""
        ask = answering(model, question, together)
        return lambda questions: (told[0]["score"] for told in ask(questions))

    def page(self, facts: ModelFacts) -> Page:
        """Return what is asked for: a text."""
        return Page(self.pipeline, (Field("text", "Text", "long text"),), "number")

    def training(self) -> Callable[[TextRegressionParams, Run], object]:
        """Return what trains."""
        from worker.tasks.text_regression.training import train

        return train


TASK = TextRegression()
