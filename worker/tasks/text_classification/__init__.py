"""Text classification: which of several classes a text is of, or which of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

from worker.exchange import Answering
from worker.families.text.inference import answering
from worker.families.text.task import SequenceTask
from worker.task import DataReport, Field, Measure, ModelFacts, Page, Run, Sample, Splits
from worker.tasks.text_classification import report, samples
from worker.tasks.text_classification.params import Question, TextClassificationParams

ONE = (Measure("valid_accuracy", "higher"), Measure("valid_loss"), Measure("loss"))
SEVERAL = (Measure("valid_f1_micro", "higher"), *ONE)


class TextClassification(SequenceTask[TextClassificationParams]):
    """Training of classifiers of texts."""

    name = "text_classification"
    help = "Train a model to tell texts apart."
    params = TextClassificationParams
    also_called: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "text-binary-classification": {},
        "text-multi-class-classification": {},
    }
    question = Question
    does = "tell texts apart"

    def inspect(
        self,
        params: TextClassificationParams,
        splits: Splits,
        facts: ModelFacts,
        tokenizer: Any,
    ) -> DataReport:
        """Count texts, classes and tokens, and find what is broken."""
        return report.inspect(params, splits, facts, tokenizer)

    def measures(self, params: TextClassificationParams) -> tuple[Measure, ...]:
        """Return how often the model is right, then how sure it is of it.

        Of several classes a text few are all right: there it is F1 over all classes that is told.
        """
        return SEVERAL if params.problem_type == "multi_label_classification" else ONE

    def sample(self, given: Mapping[str, Any]) -> Sample:
        """Return a few mails, some of them spam."""
        return samples.sample()

    def answer(self, model: str, question: Question) -> Any:
        """Return the classes a text may be of, each with its score, the likeliest first."""
        return super().answer(model, question)[: question.top_k]

    def answering(self, model: str, question: Question, together: int) -> Answering:
        """Return the model; it answers with all classes and their scores."""
        return answering(model, question, together)

    def page(self, facts: ModelFacts) -> Page:
        """Return what is asked for: a text."""
        several = facts.config.get("problem_type") == "multi_label_classification"
        return Page(
            self.pipeline, (Field("text", "Text", "long text"),), "tags" if several else "labels"
        )

    def training(self) -> Callable[[TextClassificationParams, Run], object]:
        """Return what trains."""
        from worker.tasks.text_classification.training import train

        return partial(train, measures=SEVERAL)


TASK = TextClassification()
