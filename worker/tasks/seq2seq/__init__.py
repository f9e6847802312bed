"""Sequence to sequence: models that read a text and write another, such as its summary."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from worker.exchange import Answering
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
from worker.tasks.seq2seq import cost, report
from worker.tasks.seq2seq.kinds import check_model
from worker.tasks.seq2seq.params import Question, Seq2SeqParams
from worker.tasks.seq2seq.samples import sample


class Seq2Seq(TextTask[Seq2SeqParams]):
    """Training of models with an encoder and a decoder."""

    name = "seq2seq"
    help = "Train a model to write one text from another."
    params = Seq2SeqParams
    question = Question
    pipeline = "text2text-generation"
    fixed = ("max_new_tokens", "num_beams", "trust_remote_code")

    def sample(self, given: Mapping[str, Any]) -> Sample:
        """Return dialogues and their summaries."""
        return sample()

    def unused(self, params: Seq2SeqParams) -> Mapping[str, str]:
        """Return nothing: activations are recomputed where they would not fit."""
        return {}

    def check_model(self, params: Seq2SeqParams, facts: ModelFacts) -> None:
        """Refuse what has no encoder and decoder."""
        check_model(facts)

    def inspect(
        self, params: Seq2SeqParams, splits: Splits, facts: ModelFacts, tokenizer: Any
    ) -> DataReport:
        """Count pairs and the tokens of both sides."""
        return report.inspect(params, splits, facts, tokenizer)

    def footprint(
        self,
        params: Seq2SeqParams,
        facts: ModelFacts,
        data: DataReport,
        memory: float | None = None,
    ) -> Footprint:
        """Return the memory by the shape of the model: see `cost`."""
        return cost.footprint(params, facts, memory)

    def flops(self, params: Seq2SeqParams, facts: ModelFacts, data: DataReport) -> float:
        """Return the arithmetic of the whole training: see `cost`."""
        return cost.flops(params, facts, data)

    def seconds(self, params: Seq2SeqParams, facts: ModelFacts, data: DataReport) -> float:
        """Return what writing takes at validations, a token after the other."""
        return cost.seconds(params, facts, data)

    def pushed_bytes(self, params: Seq2SeqParams, stored: float) -> float:
        """Return the size of an adapter where only that is pushed."""
        return cost.ADAPTED_SHARE * params.lora_r * stored if params.adapter_alone else stored

    def shown(self, params: Seq2SeqParams) -> Mapping[str, Any]:
        """Return the settings that decide most of what comes out."""
        return {**super().shown(params), "max_target_length": params.max_target_length}

    def measures(self, params: Seq2SeqParams) -> tuple[Measure, ...]:
        """Return how much of what is wanted is written, where that is measured, then the loss."""
        rouge = (Measure("valid_rougeL", "higher"),) if params.rouge_rows else ()
        return (*rouge, Measure("valid_loss"), Measure("loss"))

    def try_it(self, params: Seq2SeqParams, model: str) -> str:
        """Return a question to the model."""
        return f'hubtrain seq2seq --inference --model {shlex.quote(model)} --text "…"'

    def loading(self, params: Seq2SeqParams, model: str, *, adapter: bool) -> str:
        """Return the Python that lets the model write; that of an adapter needs peft as well."""
        name = json.dumps(model)
        needed = ("# pip install transformers torch peft",) if adapter else ()
        return python(
            *needed,
            "from transformers import AutoModelForSeq2SeqLM, AutoTokenizer",
            "",
            f"model = AutoModelForSeq2SeqLM.from_pretrained({name})",
            f"tokenizer = AutoTokenizer.from_pretrained({name})",
            'read = tokenizer("A text.", return_tensors="pt")',
            f"written = model.generate(**read, max_new_tokens={params.max_target_length})",
            "tokenizer.decode(written[0], skip_special_tokens=True)",
        )

    def can_answer(self, facts: ModelFacts) -> None:
        """Refuse what has no encoder and decoder."""
        check_model(facts)

    def answering(self, model: str, question: Question, together: int) -> Answering:
        """Return the model, which writes a text to each."""
        from worker.tasks.seq2seq.training.inference import answering

        return answering(model, question, together)

    def page(self, facts: ModelFacts) -> Page:
        """Return what is asked for: a text."""
        return Page(self.pipeline, (Field("text", "Text", "long text"),), "text")

    def training(self) -> Callable[[Seq2SeqParams, Run], object]:
        """Return what trains."""
        from worker.tasks.seq2seq.training.train import train

        return train


TASK = Seq2Seq()
