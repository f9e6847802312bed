"""Pretrains a model: a tokenizer from the data, a fresh model, a stream of rows, steps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any

import transformers
from transformers import AutoTokenizer

from worker.contract import ModelRef
from worker.engine import devices
from worker.engine.adapter import adapt
from worker.engine.arguments import EVALUATIONS, tracked, training_arguments
from worker.engine.fit import begin, finish, fit
from worker.engine.loss import save_memory
from worker.engine.model import Loaded, load
from worker.engine.phases import phase
from worker.engine.source import Source
from worker.engine.speaking import save_tokenizer
from worker.engine.token_trainer import COUNTED, TokenTrainer
from worker.errors import BadData
from worker.reading import stream
from worker.splits import Row
from worker.task import Run
from worker.tasks.llm import TASK as LLM
from worker.tasks.llm import trainers
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.training.batches import TrainingRows
from worker.tasks.llm.training.memory import in_larger_passes, recomputes_here
from worker.tasks.llm.training.train import collate_of, needs_no_mask
from worker.tasks.pretraining import models
from worker.tasks.pretraining.params import TEST_TOKENS, PretrainingParams
from worker.tasks.pretraining.report import steps_of
from worker.tasks.pretraining.texts import held_out, texts_in
from worker.tasks.pretraining.training.fresh import Fresh, speaking, trained_on
from worker.tasks.pretraining.training.stream import Passes, Stream
from worker.tasks.pretraining.translated import as_llm

MOST_VALIDATED = 1000
"""Training rows that are held out at most: a share of a large data set would take days."""


def train(params: PretrainingParams, run: Run) -> None:
    """Pretrain a model, or fine-tune a published one as `llm` does, under its own settings."""
    if params.fresh:
        pretrain(params, run, models.config(params.model, params.max_length))
    else:
        LLM.train(as_llm(params, gpu=devices.device() != "cpu"), run)


def pretrain(params: PretrainingParams, run: Run, config: dict[str, Any]) -> None:
    """Train a model of this `config.json` and leave it in `run.output`; raises `HubtrainError`.

    Returns early, with a checkpoint written, once `run.stop` is set.
    """
    llm = as_llm(params, gpu=devices.device() != "cpu")
    begin(llm)
    texts = Texts(params, llm, run)
    with phase(run.emit, "making the tokenizer"):
        tokenizer = _tokenizer(params, texts, config["vocab_size"])
        config = speaking(config, tokenizer)
        if llm.peft:  # embeddings are trained whole beside adapters, and the output for itself
            config["tie_word_embeddings"] = False
    with phase(run.emit, "counting tokens"):
        passes = _passes(params, tokenizer, texts.train)
        steps = steps_of(params, _rows_a_pass(params, passes))
        valid = _validated(params, tokenizer, texts)
    with phase(run.emit, "building the model"):
        loaded, lean = _built(llm, config)
        learning = _learning(params, llm, loaded, tokenizer)
        if lean and not params.fills_gaps:
            llm = in_larger_passes(llm, loaded)
        checkpointing = recomputes_here(llm, loaded)
        loaded = _adapted(loaded, llm)
    trainer = learning(
        model=loaded.model,
        args=_arguments(
            llm, run, loaded, steps=steps, checkpointing=checkpointing, validates=valid is not None
        ),
        train_dataset=Stream(passes, _rows(params, steps)),
        eval_dataset=valid,
    )
    if fit(trainer, llm, run):
        finish(loaded, llm, run, partial(save_tokenizer, tokenizer, None))


class Texts:
    """The texts of a job, read anew each time they are asked for."""

    def __init__(self, params: PretrainingParams, llm: LlmParams, run: Run) -> None:
        self.params, self.llm, self.run = params, llm, run

    def train(self) -> Iterator[str]:
        """Yield the texts to learn."""
        return self._texts("train", kept=True)

    def valid(self) -> Iterator[str]:
        """Yield the texts to validate on: of a split of their own, or held out."""
        if self.run.data.valid:
            return self._texts("valid")
        return self._texts("train", kept=False) if self.params.valid_share else iter(())

    def _texts(self, role: str, *, kept: bool | None = None) -> Iterator[str]:
        split = stream(self.run.data, role)
        rows: Iterable[tuple[int, Row]] = split.rows
        if role == "train":
            rows = islice(rows, self.params.max_samples)
        if kept is not None:
            share = None if self.run.data.valid else self.params.valid_share
            rows = (row for i, row in enumerate(rows) if held_out(i, share) is not kept)
        return texts_in(rows, split.columns, self.llm, split.source)


def _tokenizer(params: PretrainingParams, texts: Texts, vocabulary: int) -> Any:
    if params.tokenizer is not None:
        return Source(ModelRef(name=params.tokenizer), None).processor(AutoTokenizer)
    return trained_on(texts.train(), vocabulary, begins=params.fills_gaps)


def _passes(params: PretrainingParams, tokenizer: Any, texts: Any) -> Passes:
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    return Passes(
        texts,
        backend,
        tokenizer.eos_token_id,
        params.max_length,
        TEST_TOKENS if params.test == "true" else None,
        params.seed if params.shuffle == "true" else None,
    )


def _rows_a_pass(params: PretrainingParams, passes: Passes) -> int:
    """Return the rows of a pass, counted no further than the tokens to train on can reach."""
    batch = params.batch_size * params.gradient_accumulation
    most = params.num_training_tokens // params.tokens_a_step * batch
    most = min(most, (params.max_steps or most) * batch) or batch
    found = sum(1 for _ in islice(passes.once(), math.ceil(most / params.epochs)))
    if not found:
        raise BadData("No row has a text to learn.")
    return found


def _rows(params: PretrainingParams, steps: int) -> int:
    return steps * params.batch_size * params.gradient_accumulation


def _validated(params: PretrainingParams, tokenizer: Any, texts: Texts) -> TrainingRows | None:
    rows = list(islice(_passes(params, tokenizer, texts.valid).once(), MOST_VALIDATED))
    examples = [piece for row in rows for piece in row]
    places = iter(range(len(examples)))
    return TrainingRows(examples, [list(islice(places, len(r))) for r in rows]) if rows else None


def _built(llm: LlmParams, config: dict[str, Any]) -> tuple[Loaded, bool]:
    """Return the model, and whether its loss holds logits once."""
    auto_class = getattr(transformers, trainers.of(llm).head.auto_class)
    source = Fresh(ModelRef(name=llm.model), auto_class, settings=config)
    loaded = load(source, llm)
    return loaded, save_memory(loaded.model)


def _learning(
    params: PretrainingParams, llm: LlmParams, loaded: Loaded, tokenizer: Any
) -> partial[TokenTrainer]:
    """Return the trainer of the next token, or of hidden ones, with how its batches are made."""
    if not params.fills_gaps:
        needs_no_mask(loaded)
        return partial(TokenTrainer, data_collator=collate_of(llm, loaded.model, tokenizer))
    from worker.tasks.llm.training import masked

    hide = masked.hiding(llm, tokenizer)
    batches, sparse = masked.ways(llm, loaded, hide, tokenizer.pad_token_id or 0)
    # Beside adapters the output is a copy, which does not know that it is asked for some alone.
    sparse = sparse and not llm.peft
    return partial(masked.MaskedTrainer, data_collator=batches, sparse=sparse)


def _adapted(loaded: Loaded, llm: LlmParams) -> Loaded:
    """Return the model with an adapter where one is asked for, and the rest of it trained whole.

    What has no adapter and no published weights would stay at random.
    """
    kind = trainers.of(llm).head.peft_type
    return adapt(loaded, llm, kind, modules_to_save=_without_adapter(loaded.model))


def _without_adapter(model: Any) -> list[str]:
    """Return the modules with weights that adapters leave out; none lies within another.

    Of one within another peft would train a second copy, which nothing asks.
    """
    head, found = model.get_output_embeddings(), list[str]()
    for name, module in model.named_modules():  # each before those within it
        own = any(True for _ in module.parameters(recurse=False))
        left_out = module is head or type(module).__name__ not in {"Linear", "Conv1D"}
        if own and left_out and not any(name.startswith(f"{outer}.") for outer in found):
            found.append(name)
    return found


def _arguments(
    llm: LlmParams,
    run: Run,
    loaded: Loaded,
    *,
    steps: int,
    checkpointing: bool,
    validates: bool,
) -> Any:
    return training_arguments(
        llm,
        run.work / "checkpoints",
        steps=steps,
        autocast=loaded.precision.autocast,
        checkpointing=checkpointing,
        validates=validates,
        max_steps=steps,
        # A stream has no epochs: validation and checkpoints go by steps.
        eval_strategy="steps" if validates and llm.eval_strategy != "no" else "no",
        eval_steps=max(1, steps // EVALUATIONS),
        save_strategy="steps" if llm.save_strategy == "epoch" else llm.save_strategy,
        accelerator_config={"dispatch_batches": False},
        **tracked(llm, run),
        **COUNTED,
    )
