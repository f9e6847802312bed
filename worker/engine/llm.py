"""Trains a language model: examples to packed rows, rows to steps, the result to a folder."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from typing import Any

import torch
from transformers import PrinterCallback, TrainerCallback, set_seed
from transformers.loss.loss_utils import ForCausalLMLoss

from worker.contract import SAVED, Phase
from worker.engine import machine
from worker.engine.arguments import trackers, training_arguments
from worker.engine.batches import Collate, TrainingRows, keeps_apart
from worker.engine.corpus import tokenized
from worker.engine.model import Precision, adapted, load_config, load_model, load_tokenizer, merged
from worker.engine.phases import phase
from worker.engine.reporting import Report, StopWhenAsked
from worker.engine.saving import ends_turns, save_model, save_tokenizer
from worker.engine.trainer import TokenTrainer
from worker.task import ModelFacts, Run
from worker.tasks.llm import packing
from worker.tasks.llm.cost import recomputes
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.tokens import Tokens


def train(params: LlmParams, run: Run) -> None:
    """Train `run.model` on `run.data` and leave the result in `run.output`.

    Returns early, with a checkpoint written, once `run.stop` is set. Raises `HubtrainError`, and
    whatever torch raises when memory runs out.
    """
    trackers(params.log)
    set_seed(params.seed)
    with phase(run.emit, "reading data"):
        config = load_config(run.model, params)
        params = params.within(config.to_dict())
        tokenizer = load_tokenizer(run.model, params)
        corpus = tokenized(params, run, tokenizer)
    with phase(run.emit, "loading model"):
        model, precision = load_model(run.model, params, config)
        params = _possible(params, model, precision)
        checkpointing = _recomputes(params, model)
        if params.peft:
            model = adapted(model, params, run.model)
    rows = _rows(corpus.train, params)
    valid = _rows(corpus.valid, params)
    trainer = TokenTrainer(
        model=model,
        args=training_arguments(
            params,
            run.work / "checkpoints",
            steps=_steps(params, len(rows)),
            autocast=precision.autocast,
            checkpointing=checkpointing,
            validates=bool(corpus.valid),
        ),
        train_dataset=rows,
        eval_dataset=valid if corpus.valid else None,
        data_collator=_collate(params, model, tokenizer),
        callbacks=[Report(run.emit), StopWhenAsked(run.stop), *_curves(params, run)],
    )
    trainer.remove_callback(PrinterCallback)  # the events say it all
    trainer.train(resume_from_checkpoint=str(run.last_checkpoint) if run.last_checkpoint else None)
    if run.stop.is_set():
        return
    with phase(run.emit, "saving"):
        ends_turns(model, tokenizer, corpus.turn_end, corpus.template)
        if params.merge_adapter:
            model = merged(model, params, run.model, run.work / "adapter", precision)
        save_model(model, run.output, precision.checkpoint)
        save_tokenizer(tokenizer, corpus.template, run.output)
        _keep_curves(params, run)
    run.emit(Phase(name=SAVED))


def _curves(params: LlmParams, run: Run) -> list[TrainerCallback]:
    if params.log != "tensorboard":
        return []
    from worker.engine import curves  # takes half a second that few need

    return [curves.Curves(run.work / curves.FOLDER)]


def _keep_curves(params: LlmParams, run: Run) -> None:
    if params.log == "tensorboard":
        from worker.engine import curves

        curves.keep(run.work, run.output)


def _rows(examples: Sequence[Tokens], params: LlmParams) -> TrainingRows:
    lengths = [len(tokens) for tokens in examples]
    return TrainingRows(examples, packing.training_rows(lengths, params.row_tokens, params.packing))


def _steps(params: LlmParams, rows: int) -> int:
    return params.max_steps or packing.steps(
        rows, params.batch_size, params.gradient_accumulation, params.epochs
    )


def _possible(params: LlmParams, model: Any, precision: Precision) -> LlmParams:
    """Return the settings without what this model cannot do: see where an example begins.

    Such a model sees whatever stands before an example: others in a packed row, padding on the
    left. Padding on the right trains the same and is seen by nothing that counts.
    """
    if not params.packing and params.padding != "left":
        return params
    # Flash attention takes 16-bit numbers alone, so the question is asked as training will.
    mixed = torch.autocast(
        machine.device(), precision.products, enabled=precision.autocast is not None
    )
    with mixed:
        if keeps_apart(model, model.config.get_text_config().vocab_size):
            return params
    if params.packing:
        sys.stderr.write("This model cannot keep packed examples apart: each gets its own row.\n")
    if params.padding == "left":
        sys.stderr.write(
            "This model would see padding on the left: rows are padded on the right.\n"
        )
    return params.model_copy(update={"packing": False, "padding": "right"})


def _collate(params: LlmParams, model: Any, tokenizer: Any) -> Collate:
    pad = tokenizer.pad_token_id
    return Collate(
        pad=pad if pad is not None else (tokenizer.eos_token_id or 0),
        left=params.padding == "left",
        sparse=_can_be_sparse(model),
        flat=model.config._attn_implementation == "flash_attention_2",
    )


def _can_be_sparse(model: Any) -> bool:
    """Whether the model can compute only some logits, and its loss is the usual one."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    takes = inspect.signature(base.forward).parameters
    return "logits_to_keep" in takes and getattr(base, "loss_function", None) is ForCausalLMLoss


def _recomputes(params: LlmParams, model: Any) -> bool:
    """Whether activations are recomputed: not where all of them fit into this machine's memory."""
    count = sum(p.numel() for p in model.parameters())
    stored = sum(p.numel() * p.element_size() for p in model.parameters())
    facts = ModelFacts(params.model, count, stored / count, model.config.to_dict())
    held = torch.cuda.memory_reserved() if machine.device() == "cuda" else 0
    return recomputes(params, facts, machine.memory() + held)
