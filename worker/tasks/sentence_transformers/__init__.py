"""Sentence transformers: models that make vectors of sentences, alike where their meanings are."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar

from worker.errors import BadConfig
from worker.exchange import Answering
from worker.families.kinds import class_of
from worker.families.text import cost
from worker.families.text.task import TextTask
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
    python,
)
from worker.tasks.sentence_transformers import report
from worker.tasks.sentence_transformers.params import TRAINERS, Question, SentenceParams
from worker.tasks.sentence_transformers.samples import sample


class SentenceTransformers(TextTask[SentenceParams]):
    """Training of models that make vectors of sentences."""

    name = "sentence_transformers"
    help = "Train a model to make vectors of sentences."
    params = SentenceParams
    also_called: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        f"{stem}-{trainer.replace('_', '-')}": {"trainer": trainer}
        for stem in ("sentence-transformers", "st")
        for trainer in TRAINERS
    } | {"st": {}}
    question = Question
    library = "sentence-transformers"
    packages = ("sentence-transformers", "datasets", *TextTask.packages)
    pipeline = "sentence-similarity"

    def sample(self, given: Mapping[str, Any]) -> Sample:
        """Return rows for the trainer that is asked for."""
        return sample(given.get("trainer", "pair_score"))

    def trains_together(self, params: SentenceParams) -> bool:
        """Train in one process: losses compare the rows of a batch, which several would divide."""
        return False

    def unit(self, params: SentenceParams) -> str:
        """Count rows."""
        return report.UNIT

    def method(self, params: SentenceParams) -> str:
        """Return the trainer."""
        return params.trainer

    def tags(self, params: SentenceParams) -> tuple[str, ...]:
        """Return what the Hub finds such models by."""
        return (self.library, self.pipeline, "feature-extraction")

    def unused(self, params: SentenceParams) -> Mapping[str, str]:
        """Return the settings that sentences have no use for."""
        order = "batches are drawn as sentence-transformers draws them."
        none = {**super().unused(params), "group_by_length": order}
        if not params.learns.has_negative:
            none["sentence3_column"] = "only the trainer triplet has it."
        if params.learns.batch_negatives:
            none["target_column"] = "only the trainers pair_class and pair_score have it."
        return none

    def check_model(self, params: SentenceParams, facts: ModelFacts) -> None:
        """Refuse models that read no text."""
        _check_reads_text(facts)

    def inspect(
        self, params: SentenceParams, splits: Splits, facts: ModelFacts, tokenizer: Any
    ) -> DataReport:
        """Count sentences and their tokens, and find rows that teach nothing."""
        return report.inspect(params, splits, facts, tokenizer)

    def footprint(
        self,
        params: SentenceParams,
        facts: ModelFacts,
        data: DataReport,
        memory: float | None = None,
    ) -> Footprint:
        """Return the memory by the shape of the model, which reads each sentence of a row."""
        return cost.footprint(params, facts, data.longest, times=params.learns.sentences)

    def flops(self, params: SentenceParams, facts: ModelFacts, data: DataReport) -> float:
        """Return the arithmetic of the whole training."""
        return cost.flops(params, facts, data, times=params.learns.sentences)

    def shown(self, params: SentenceParams) -> Mapping[str, Any]:
        """Return the settings that decide most of what comes out."""
        return {"trainer": params.trainer, **super().shown(params)}

    def measures(self, params: SentenceParams) -> tuple[Measure, ...]:
        """Return the measure of the trainer, then the loss."""
        best = Measure(f"valid_{params.learns.measure}", "higher")
        return (best, Measure("valid_loss"), Measure("loss"))

    def try_it(self, params: SentenceParams, model: str) -> str:
        """Return a question to the model."""
        asked = shlex.quote(model)
        return f'hubtrain sentence-transformers --inference --model {asked} --text "…" --other "…"'

    def loading(self, params: SentenceParams, model: str, *, adapter: bool) -> str:
        """Return the Python that makes vectors and compares them."""
        return python(
            "from sentence_transformers import SentenceTransformer",
            "",
            f"model = SentenceTransformer({json.dumps(model)})",
            'vectors = model.encode(["It is raining.", "The weather is bad."])',
            "model.similarity(vectors, vectors)",
        )

    def can_answer(self, facts: ModelFacts) -> None:
        """Refuse models that read no text, and those with a head that says something else of it."""
        _check_reads_text(facts)
        if (named := class_of(facts)).endswith(_OTHER_HEADS):
            raise BadConfig(f"{facts.name} is a {named}, which makes no vectors of texts.")

    def answering(self, model: str, question: Question, together: int) -> Answering:
        """Return the model, which makes a vector of a text, and a similarity of two."""
        from worker.tasks.sentence_transformers.training.inference import answering

        return answering(model, question, together)

    def page(self, facts: ModelFacts) -> Page:
        """Return what is asked for: a text, and another to compare it with."""
        one = Field("text", "Text", column="sentence1_column")
        other = Field("other", "Another text, to compare both", column="sentence2_column")
        return Page(self.pipeline, (one, other), "similarity")

    def libraries(self, params: SentenceParams) -> Collection[str]:
        """Return what that library's trainer needs."""
        return ("datasets",)

    def training(self) -> Callable[[SentenceParams, Run], object]:
        """Return what trains."""
        from worker.tasks.sentence_transformers.training.train import train

        return train


_OTHER_HEADS = (
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForQuestionAnswering",
    "ForConditionalGeneration",
    "MTModel",
)
"""How the classes end of models that say something else of a text, or write another. The head of a
language model does not count: models of sentences go on naming it, and do not use it."""


def _check_reads_text(facts: ModelFacts) -> None:
    config = facts.config.get("text_config") or facts.config
    if "vocab_size" not in config:
        raise BadConfig(
            f"{facts.name} reads no text.",
            fix="--model with one that does, such as microsoft/mpnet-base",
        )


TASK = SentenceTransformers()
