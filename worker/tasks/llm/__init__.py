"""Language models, trained in any of the ways of `trainers/`."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from worker.answers import one_by_one
from worker.errors import BadConfig
from worker.exchange import Answering
from worker.families.decoder import ADAPTER_BYTES
from worker.families.finished import facts_of
from worker.session import Session
from worker.task import (
    DataReport,
    Footprint,
    Measure,
    ModelFacts,
    Page,
    Run,
    Sample,
    Splits,
    Task,
)
from worker.tasks.llm import heads, trainers
from worker.tasks.llm.evaluation import files_of
from worker.tasks.llm.params import Ignored, LlmParams, Question
from worker.tasks.llm.tools import EXPORT, LM_EVAL, MERGE


class LlmTask(Task[LlmParams]):
    """Training of language models."""

    name = "llm"
    help = "Train or fine-tune a language model."
    params = trainers.with_their_settings(LlmParams)
    ignored = trainers.without(Ignored, params)
    also_called: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "lm-training": {},
        **{f"llm-{name}": {"trainer": trainer} for name, trainer in trainers.called().items()},
    }

    model_reads = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
    question = Question
    fixed = (
        *("system", "max_new_tokens", "temperature", "top_p", "top_k", "stop"),
        "trust_remote_code",
    )
    tools = (MERGE, LM_EVAL)
    export = EXPORT

    def sample(self, given: Mapping[str, Any]) -> Sample:
        """Return that of the trainer."""
        default = LlmParams.model_fields["trainer"].default
        return trainers.load(given.get("trainer", default)).sample()

    def method(self, params: LlmParams) -> str:
        """Return the trainer."""
        return str(params.trainer)

    def trains_together(self, params: LlmParams) -> bool:
        """Return whether the trainer can."""
        return trainers.of(params).trains_together

    def unit(self, params: LlmParams) -> str:
        """Return what the trainer counts."""
        return trainers.of(params).unit

    def pipeline_tag(self, params: LlmParams) -> str:
        """Return what the model that the trainer makes does."""
        return trainers.of(params).head.pipeline_tag

    def unused(self, params: LlmParams) -> Mapping[str, str]:
        """Return the settings of other trainers, and those that this one does not heed."""
        return {**trainers.unused_beside(params.trainer), **trainers.of(params).unused}

    def check_model(self, params: LlmParams, facts: ModelFacts) -> None:
        """Refuse a model that the trainer cannot train."""
        trainers.check_model(params, facts)
        if params.lm_eval_tasks and not (head := trainers.of(params).head).goes_on:
            raise BadConfig(
                f"--lm-eval asks models that go on with a text, and --trainer {params.trainer} "
                f"makes a {head.called}.",
                fix="Leave --lm-eval out",
            )

    def inspect(
        self, params: LlmParams, splits: Splits, facts: ModelFacts, tokenizer: Any
    ) -> DataReport:
        """Read examples as training will, and count their tokens."""
        return trainers.of(params).inspect(params, splits, facts, tokenizer)

    def over_budget(self, facts: ModelFacts) -> tuple[str, str]:
        """Suspect the chat template, which is a program that a stranger wrote."""
        return (
            f"the chat template of {facts.name} does not end, or the rows are too large for it",
            "--chat-template chatml, another model, or smaller rows",
        )

    def footprint(
        self, params: LlmParams, facts: ModelFacts, data: DataReport, memory: float | None = None
    ) -> Footprint:
        """Return the memory as the trainer has it, by default by the shape of the model."""
        return trainers.of(params).footprint(params, facts, data, memory)

    def flops(self, params: LlmParams, facts: ModelFacts, data: DataReport) -> float:
        """Return the arithmetic of the whole training."""
        return trainers.of(params).flops(params, facts, data)

    def seconds(self, params: LlmParams, facts: ModelFacts, data: DataReport) -> float:
        """Return what the trainer waits for, such as answers that are written."""
        return trainers.of(params).seconds(params, facts, data)

    def files(self, params: LlmParams) -> tuple[str, ...]:
        """Return the files that the trainer sends along, and tasks of lm-eval."""
        return (*trainers.of(params).files(params), *files_of(params.lm_eval_tasks))

    def pushed_bytes(self, params: LlmParams, stored: float) -> float:
        """Return the size of an adapter where only that is pushed."""
        return ADAPTER_BYTES if params.adapter_alone else stored

    def shown(self, params: LlmParams) -> Mapping[str, Any]:
        """Return the settings that decide most of what comes out."""
        always = {
            "trainer": params.trainer,
            "peft": params.peft,
            "lr": params.peak_lr,
            "epochs": params.epochs,
            "batch_size": params.batch_size,
            "gradient_accumulation": params.gradient_accumulation,
            "model_max_length": params.model_max_length,
        }
        lora = {"lora_r": params.lora_r, "lora_alpha": params.lora_alpha} if params.peft else {}
        return {**always, **lora, "scheduler": params.scheduler, "seed": params.seed}

    def memory_advice(self, params: LlmParams) -> str:
        """Return what makes a training smaller, and changes what comes out the least."""
        smaller = [f"--batch-size {params.batch_size // 2}"] if params.batch_size > 1 else []
        smaller.append("a smaller --block-size")
        smaller += [] if params.peft else ["--peft"]
        smaller += [] if params.quantization else ["--quantization int4"]
        *first, last = [*smaller, "a smaller model"][:3]
        return f"{', '.join(first)} or {last}"

    def measures(self, params: LlmParams) -> tuple[Measure, ...]:
        """Return what the trainer measures."""
        return trainers.of(params).measures(params)

    def try_it(self, params: LlmParams, model: str) -> str:
        """Return a question to the model."""
        return trainers.of(params).head.try_it(model)

    def loading(self, params: LlmParams, model: str, *, adapter: bool) -> str:
        """Return the Python that loads model and tokenizer."""
        return trainers.of(params).head.loading(model, adapter=adapter)

    def can_answer(self, facts: ModelFacts) -> None:
        """Refuse what none of the trainers could have made."""
        if facts.config and not {"model_type", "architectures"} & set(facts.config):
            raise BadConfig(f"{facts.name} does not say what kind of model it is.")
        trainers.head_of(facts)

    def session(self, model: str, question: Question, stop: threading.Event) -> Session | None:
        """Return the model where it goes on with a text."""
        return _head_of(model).session(model, question, stop)

    def answer(self, model: str, question: Question) -> Any:
        """Return what the model puts out for a prompt, by what the model itself is."""
        head = _head_of(model)
        if question.prompt is None:
            raise BadConfig(
                f"{model} is a {head.called}, which is asked one prompt at a time.",
                fix=head.try_it(model),
            )
        return head.opened(model, question)(question)

    def answering(self, model: str, question: Question, together: int) -> Answering:
        """Return the model, which answers one prompt after the other."""
        return one_by_one(_head_of(model).opened(model, question))

    def page(self, facts: ModelFacts) -> Page:
        """Return how visitors ask a model, by what it puts out."""
        return trainers.head_of(facts).page()

    def libraries(self, params: LlmParams) -> Collection[str]:
        """Return what the trainer imports."""
        return trainers.of(params).libraries

    def evaluates(self, params: LlmParams) -> str:
        """Return the tasks of lm-eval."""
        return f"lm-eval {', '.join(tasks)}" if (tasks := params.lm_eval_tasks) else ""

    def evaluate(self, params: LlmParams, run: Run, step: int) -> None:
        """Ask the tasks of lm-eval."""
        from worker.tasks.llm.training.evaluating import evaluate

        evaluate(params, run, step)

    def train(self, params: LlmParams, run: Run) -> None:
        """Train as the trainer does."""
        trainers.of(params).train(params, run)


def _head_of(model: str) -> heads.Head:
    from worker.engine.lean import leave_out

    leave_out(["bitsandbytes", "datasets"])  # answers need neither; both are slow to start
    return trainers.head_of(facts_of(model))


TASK = LlmTask()
