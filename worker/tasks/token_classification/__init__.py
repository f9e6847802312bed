"""Token classification: a tag for each word, as of names of people or of parts of speech."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from worker.exchange import Answering
from worker.families.text.task import HeadTask
from worker.task import (
    DataReport,
    Field,
    Measure,
    ModelFacts,
    Page,
    Run,
    Sample,
    Splits,
    python,
)
from worker.tasks.token_classification import report
from worker.tasks.token_classification.kinds import KINDS
from worker.tasks.token_classification.params import Question, TokenParams
from worker.tasks.token_classification.samples import sample


class TokenClassification(HeadTask[TokenParams]):
    """Training of taggers of words."""

    name = "token_classification"
    help = "Train a model to tag words, such as names."
    params = TokenParams
    also_called: ClassVar[Mapping[str, Mapping[str, Any]]] = {"text-token-classification": {}}
    question = Question
    pipeline = "token-classification"
    head = "TokenClassification"
    kinds = KINDS
    does = "tag words"

    def sample(self, given: Mapping[str, Any]) -> Sample:
        """Return sentences with people and places in them."""
        return sample()

    def unit(self, params: TokenParams) -> str:
        """Count sentences."""
        return "sentences"

    def inspect(
        self, params: TokenParams, splits: Splits, facts: ModelFacts, tokenizer: Any
    ) -> DataReport:
        """Count sentences and entities, and find rows that are broken."""
        return report.inspect(params, splits, facts, tokenizer)

    def measures(self, params: TokenParams) -> tuple[Measure, ...]:
        """Return how well entities are found, then how sure the model is of it."""
        return (Measure("valid_f1", "higher"), Measure("valid_loss"), Measure("loss"))

    def try_it(self, params: TokenParams, model: str) -> str:
        """Return a question to the model."""
        return f"hubtrain token-classification --inference --model {shlex.quote(model)} --text …"

    def loading(self, params: TokenParams, model: str, *, adapter: bool) -> str:
        """Return the Python that asks the model for the entities of a text."""
        asked = f'"{self.pipeline}", model={json.dumps(model)}'
        return python(
            "from transformers import pipeline",
            "",
            f'tag = pipeline({asked}, aggregation_strategy="simple")',
            'print(tag("Ann Lee lives in Ulm."))',
        )

    def answering(self, model: str, question: Question, together: int) -> Answering:
        """Return the model, which answers a text with its entities, their scores and places."""
        from worker.tasks.token_classification.training.inference import answering

        return answering(model, question, together)

    def page(self, facts: ModelFacts) -> Page:
        """Return what is asked for: a text."""
        asked = Field("text", "Text", "long text", column="tokens_column")
        return Page(self.pipeline, (asked,), answers_as="entities")

    def training(self) -> Callable[[TokenParams, Run], object]:
        """Return what trains."""
        from worker.tasks.token_classification.training.train import train

        return train


TASK = TokenClassification()
