"""Extractive question answering: where in a text the answer to a question is."""

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
from worker.tasks.extractive_qa import report
from worker.tasks.extractive_qa.kinds import KINDS
from worker.tasks.extractive_qa.params import QaParams, Question
from worker.tasks.extractive_qa.samples import sample


class ExtractiveQa(HeadTask[QaParams]):
    """Training of models that find answers in texts."""

    name = "extractive_qa"
    help = "Train a model to find answers in texts."
    params = QaParams
    also_called: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "ext-qa": {},
        "extractive-question-answering": {},
        "text-extractive-question-answering": {},
    }
    question = Question
    pipeline = "question-answering"
    head = "QuestionAnswering"
    kinds = KINDS
    does = "find answers in a text"

    def sample(self, given: Mapping[str, Any]) -> Sample:
        """Return short texts, and questions that they answer."""
        return sample()

    def unit(self, params: QaParams) -> str:
        """Count windows: a question with as much of its context as the model sees."""
        return "windows"

    def inspect(
        self, params: QaParams, splits: Splits, facts: ModelFacts, tokenizer: Any
    ) -> DataReport:
        """Count questions and windows, and find answers that are not in their contexts."""
        return report.inspect(params, splits, facts, tokenizer)

    def measures(self, params: QaParams) -> tuple[Measure, ...]:
        """Return how well answers are found, then how sure the model is of them."""
        found = (Measure("valid_f1", "higher"), Measure("valid_exact_match", "higher"))
        return (*found, Measure("valid_loss"), Measure("loss"))

    def try_it(self, params: QaParams, model: str) -> str:
        """Return a question to the model."""
        asked = "--context … --question …"
        return f"hubtrain extractive-qa --inference --model {shlex.quote(model)} {asked}"

    def loading(self, params: QaParams, model: str, *, adapter: bool) -> str:
        """Return the Python that asks the model; transformers 5 has no pipeline for it."""
        return python(
            "import torch",
            "from transformers import AutoModelForQuestionAnswering, AutoTokenizer",
            "",
            f"name = {json.dumps(model)}",
            "tokenizer = AutoTokenizer.from_pretrained(name)",
            "model = AutoModelForQuestionAnswering.from_pretrained(name)",
            'asked, text = "Where does Ann live?", "Ann lives in Ulm."',
            'inputs = tokenizer(asked, text, truncation="only_second", return_tensors="pt")',
            "with torch.no_grad():",
            "    found = model(**inputs)",
            "start, end = found.start_logits.argmax(), found.end_logits.argmax()",
            'print(tokenizer.decode(inputs["input_ids"][0, start : end + 1]))',
        )

    def answering(self, model: str, question: Question, together: int) -> Answering:
        """Return the model, which answers with a text, its score and its place; none is empty."""
        from worker.tasks.extractive_qa.training.inference import answering

        return answering(model, question, together)

    def page(self, facts: ModelFacts) -> Page:
        """Return what is asked for: a text and a question to it."""
        fields = (
            Field("context", "Text", "long text", column="text_column"),
            Field("question", "Question"),
        )
        return Page(self.pipeline, fields, answers_as="span")

    def training(self) -> Callable[[QaParams, Run], object]:
        """Return what trains."""
        from worker.tasks.extractive_qa.training.train import train

        return train


TASK = ExtractiveQa()
