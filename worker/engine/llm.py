"""Trains a language model: examples to packed rows, rows to steps, the result to a folder."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PrinterCallback, set_seed

from worker.contract import Phase
from worker.engine import machine
from worker.engine.arguments import trackers, training_arguments
from worker.engine.batches import Collate, TrainingRows, keeps_apart
from worker.engine.model import adapted, load_model, load_tokenizer
from worker.engine.phases import phase
from worker.engine.reporting import Report, StopWhenAsked
from worker.engine.saving import ends_turns, save_model, save_tokenizer
from worker.engine.splits import load
from worker.engine.trainer import TokenTrainer
from worker.errors import BadData
from worker.splits import Row, Split
from worker.task import ModelFacts, Run
from worker.tasks.llm import packing
from worker.tasks.llm.cost import recomputes
from worker.tasks.llm.data import Speech, read, speech, training_split
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.report import token_id
from worker.tasks.llm.tokens import Tokens, cut, encode


@dataclass(frozen=True, slots=True)
class Corpus:
    """The examples in tokens, each at most a training row long."""

    train: list[Tokens]
    valid: list[Tokens]
    template: str | None
    """The chat template they were written with."""

    turn_end: int | None
    """The token conversations end with."""


def train(params: LlmParams, run: Run) -> None:
    """Train `run.model` on `run.data` and leave the result in `run.output`.

    Raises `HubtrainError`, and whatever torch raises when memory runs out.
    """
    trackers(params.log)
    set_seed(params.seed)
    with phase(run.emit, "reading data"):
        tokenizer = load_tokenizer(run.model, params)
        corpus = _corpus(params, run, tokenizer)
    with phase(run.emit, "loading model"):
        model, precision = load_model(run.model, params)
        apart = keeps_apart(model, model.config.get_text_config().vocab_size)
        facts = _facts(model, run)
        if params.peft:
            model = adapted(model, params, run.model)
    if params.packing and not apart:
        _say("This model cannot keep packed examples apart; they are trained one a row.")
    packed = params.packing and apart
    rows, valid = (
        TrainingRows(part, packing.training_rows([*map(len, part)], params.row_tokens, packed))
        for part in (corpus.train, corpus.valid)
    )
    steps = params.max_steps or packing.steps(
        len(rows), params.batch_size, params.gradient_accumulation, params.epochs
    )
    trainer = TokenTrainer(
        model=model,
        args=training_arguments(
            params,
            run.work / "checkpoints",
            steps=steps,
            autocast=precision.autocast,
            checkpointing=_needs_checkpointing(params, facts),
            validates=bool(valid),
        ),
        train_dataset=rows,
        eval_dataset=valid if len(valid) else None,
        data_collator=_collate(params, model, tokenizer),
        callbacks=[Report(run.emit), StopWhenAsked(run.stop)],
    )
    trainer.remove_callback(PrinterCallback)  # the events say it all
    checkpoint = str(run.last_checkpoint) if run.last_checkpoint else None
    trainer.train(resume_from_checkpoint=checkpoint)
    if run.stop.is_set():
        return
    if len(valid) and params.eval_strategy == "no":
        trainer.evaluate()
    with phase(run.emit, "saving"):
        ends_turns(model, corpus.turn_end)
        save_model(model, run.output, merge=params.merge_adapter)
        save_tokenizer(tokenizer, corpus.template, run.output)
    run.emit(Phase(name="saved"))


def _corpus(params: LlmParams, run: Run, tokenizer: Any) -> Corpus:
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    how = speech(params, tokenizer.special_tokens_map, _template_of(tokenizer), backend)
    splits = load(run.data)
    train_rows, valid_rows = training_split(splits, params)
    train_split = splits["train"]
    train, chats = _tokens(train_split, train_rows, params, how, backend)
    valid, _ = _tokens(splits.get("valid", train_split), valid_rows, params, how, backend)
    if not train:
        raise BadData(f"No row of {train_split.source} has anything to learn.")
    ends = Counter(tokens.ids[-1] for tokens in train if tokens.learned[-1]) if chats else Counter()
    return Corpus(
        train,
        valid,
        how.template.source if chats and how.template else None,
        ends.most_common(1)[0][0] if ends else None,
    )


def _tokens(
    split: Split,
    rows: Sequence[tuple[int, Row]],
    params: LlmParams,
    how: Speech,
    backend: Any,
) -> tuple[list[Tokens], bool]:
    """Return the training pieces of `rows`, and whether they are conversations."""
    if not rows:
        return [], False
    found = read(split, params, how, rows)
    encoded = encode(found.examples, backend, token_id(backend, how.eos))
    return list(_pieces(encoded, params)), found.layout.kind == "messages"


def _pieces(encoded: Iterable[Tokens], params: LlmParams) -> Iterable[Tokens]:
    for tokens in encoded:
        yield from cut(tokens, params.row_tokens, keep_all=params.trainer == "default")


def _template_of(tokenizer: Any) -> str | None:
    template = tokenizer.chat_template
    if isinstance(template, dict):
        return template.get("default") or next(iter(template.values()), None)
    return str(template) if template else None


def _collate(params: LlmParams, model: Any, tokenizer: Any) -> Collate:
    pad = tokenizer.pad_token_id
    return Collate(
        pad=pad if pad is not None else (tokenizer.eos_token_id or 0),
        left=params.padding == "left",
        sparse=params.batch_size == 1 and not params.auto_find_batch_size and _can_be_sparse(model),
    )


def _can_be_sparse(model: Any) -> bool:
    """Whether the model computes only some logits, and its loss is the usual one."""
    import inspect

    from transformers.loss.loss_utils import ForCausalLMLoss

    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    takes = inspect.signature(base.forward).parameters
    return "logits_to_keep" in takes and getattr(base, "loss_function", None) is ForCausalLMLoss


def _facts(model: Any, run: Run) -> ModelFacts:
    stored = sum(p.numel() * p.element_size() for p in model.parameters())
    count = sum(p.numel() for p in model.parameters())
    return ModelFacts(run.model.name, count, stored / count, model.config.to_dict())


def _needs_checkpointing(params: LlmParams, facts: ModelFacts) -> bool:
    """Whether activations are recomputed: not where all of them fit into this machine's memory."""
    held = torch.cuda.memory_allocated() if machine.device() == "cuda" else 0
    return recomputes(params, facts, machine.memory() + held)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
