"""Tells the topic of a text: a task that trains with transformers, whole in one folder.

Copied to `worker/tasks/topics/` it is found by its name. Here is what the rest of hubtrain asks of
it, in `rows.py` what a row says, and in `training.py` all that imports torch.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Annotated, Any

from annotated_types import Ge

from worker.common import Data, EarlyStopping, MergedLora, Training, TransformersSettings
from worker.errors import BadConfig
from worker.footprint import FULL, footprint_of, weight_bytes
from worker.optimizers import state_bytes
from worker.params import Flag, Params
from worker.splits import Splits
from worker.task import DataReport, Finding, Footprint, Measure, ModelFacts, Run, Task
from worker.tasks.topics.rows import divided

KEPT = 200.0
"""Bytes kept of a token for the way back, for each layer and unit of its width: 34 numbers by
theory (Korthikanti et al. 2022, equation 1). Measured on a CPU, six layers of BERT, batches of 8:
the peak was 0.81 of what is told for texts of 128 tokens, and 0.97 for 512."""


class TopicsParams(Data, MergedLora, Training, TransformersSettings, EarlyStopping):
    """Topics of texts."""

    model: Annotated[str, Flag("--base-model", "-m")] = "distilbert/distilbert-base-uncased"
    """Hub id or folder of the model to start from."""

    text_column: str = "text"
    """Column of the texts."""

    target_column: str = "label"
    """Column of the topics."""

    max_seq_length: Annotated[int, Ge(2)] = 128
    """Tokens of a text that the model sees; the rest is cut."""

    def within(self, config: Any) -> int:
        """Return the tokens of a text that a model with this `config.json` can see."""
        return min(self.max_seq_length, config.get("max_position_embeddings") or 10**9)


class Question(Params):
    """Question (--inference)."""

    text: str
    """Text to tell the topic of."""


class Topics(Task[TopicsParams]):
    """Training of models that tell the topic of a text."""

    name = "topics"
    help = "Train a model to tell the topic of a text."
    params = TopicsParams
    extras = ("llm",)
    model_reads = ("tokenizer.json",)
    question = Question

    def unit(self, params: TopicsParams) -> str:
        """Count texts."""
        return "texts"

    def pipeline_tag(self, params: TopicsParams) -> str:
        """Return the task of the Hub, which is also that of transformers' pipeline."""
        return "text-classification"

    def check_model(self, params: TopicsParams, facts: ModelFacts) -> None:
        """Refuse models that read no text."""
        if "vocab_size" not in facts.config:
            raise BadConfig(f"{facts.name} reads no text.", fix=f"--model {DEFAULT_MODEL}")

    def inspect(
        self, params: TopicsParams, splits: Splits, facts: ModelFacts, tokenizer: Any
    ) -> DataReport:
        """Count texts and topics, and find texts that would be cut."""
        found = divided(splits, params)
        whole = min(splits["train"].total, params.max_samples or splits["train"].total)
        scale = whole / max(1, found.read)  # only the first rows of a large split are here
        rows = round(len(found.train) * scale)
        text = f"{rows:,} texts of {len(found.topics):,} topics in {splits['train'].source}"
        findings = [Finding("ok", "data", text)]
        seen = params.within(facts.config)
        if tokenizer is not None:
            long = sum(len(tokenizer.encode(one.text).ids) > seen for one in found.train)
            if long:
                cut = f"{round(long * scale):,} texts have more than {seen} tokens and are cut"
                findings.append(Finding("warn", "data", cut, fix=f"--max-seq-length {2 * seen}"))
        return DataReport(
            tuple(findings),
            rows=rows,
            valid_rows=len(found.valid),
            units=rows,
            steps=params.steps(rows),
        )

    def footprint(
        self, params: TopicsParams, facts: ModelFacts, data: DataReport, memory: float | None = None
    ) -> Footprint:
        """Return the bytes of weights, gradients, the optimizer's state and activations."""
        moving = 0.02 * facts.parameters if params.peft else facts.parameters
        width, layers = facts.config.get("hidden_size", 768), facts.config.get(LAYERS, 12)
        tokens = params.batch_size * params.within(facts.config)
        mixed = params.mixed_precision is not None
        return footprint_of(
            weights=facts.parameters * weight_bytes(facts, adapter=params.peft, mixed=mixed),
            gradients=FULL * moving,
            states=moving * state_bytes(params.optimizer),
            kept=tokens * width * layers * KEPT,
            least=0.3,  # most texts are shorter
            passes=params.gradient_accumulation,
            explained="LoRA" if params.peft else "all weights in 32 bits",
        )

    def flops(self, params: TopicsParams, facts: ModelFacts, data: DataReport) -> float:
        """Return 6 a parameter and token, 4 where the base is frozen (Kaplan et al. 2020, 2.1)."""
        texts = data.steps * params.batch_size * params.gradient_accumulation
        each = 4 if params.peft else 6
        return float(each * facts.parameters * texts * params.within(facts.config))

    def measures(self, params: TopicsParams) -> tuple[Measure, ...]:
        """Return how often the model is right, then how sure it is of it."""
        return (Measure("valid_accuracy", "higher"), Measure("valid_loss"), Measure("loss"))

    def try_it(self, params: TopicsParams, model: str) -> str:
        """Return a question to the model."""
        return f"hubtrain topics --inference --model {shlex.quote(model)} --text …"

    def answer(self, model: str, question: Question) -> Any:
        """Return the topic of a text, with its score."""
        from worker.tasks.topics.training import topic_of

        return topic_of(model, question.text)

    def training(self) -> Callable[[TopicsParams, Run], object]:
        """Return what trains."""
        from worker.tasks.topics.training import train

        return train


DEFAULT_MODEL = TopicsParams.model_fields["model"].default
LAYERS = "num_hidden_layers"
TASK = Topics()
