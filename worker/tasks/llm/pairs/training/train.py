"""Trains a language model on pairs of answers, by any objective."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch

from worker.contract import ModelRef
from worker.engine import processes
from worker.engine.adapter import adapt
from worker.engine.dropout import without_dropout
from worker.engine.fit import begin, finish, fit
from worker.engine.model import Loaded, load
from worker.engine.phases import phase
from worker.engine.source import Source
from worker.engine.speaking import ends_turns
from worker.errors import BadConfig
from worker.params import Params
from worker.task import Run
from worker.tasks.llm import trainers
from worker.tasks.llm.pairs.cost import both
from worker.tasks.llm.pairs.training import reference
from worker.tasks.llm.pairs.training.batches import CollatePairs
from worker.tasks.llm.pairs.training.corpus import PairCorpus, tokenized
from worker.tasks.llm.pairs.training.objectives import Objective
from worker.tasks.llm.pairs.training.trainer import PairsTrainer, trainer_of
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.training.memory import recomputes_here
from worker.tasks.llm.training.opening import opened, source_of
from worker.tasks.llm.training.samples import continuing
from worker.tasks.llm.training.train import lies_flat, padding_id, possible, save_beside


@dataclass(frozen=True, slots=True)
class Ways:
    """How rows become pairs, and those batches."""

    read: Callable[[LlmParams, Any, Run, Any], PairCorpus] = tokenized
    """From settings of all trainers, settings of this one, the run and the tokenizer."""

    collate: type[CollatePairs] = CollatePairs
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Training arguments of its own."""


PAIRS = Ways()


def train(
    params: LlmParams,
    own: Params,
    run: Run,
    objective: Objective,
    *,
    model_ref: str | None = None,
    ways: Ways = PAIRS,
) -> None:
    """Train `run.base` on the pairs of `run.data` and leave the result in `run.output`.

    `model_ref` is another model than that to compare with, where `objective` does. Returns early
    once `run.stop` is set. Raises `HubtrainError`, and whatever torch raises when memory runs out.
    """
    begin(params)
    head = trainers.of(params).head
    source = source_of(params, run.base)
    with phase(run.emit, "reading data"):
        params, tokenizer = opened(params, source)
        corpus = processes.once(
            partial(ways.read, params, own, run, tokenizer), run.work / "corpus.pickle"
        )
    collate = ways.collate(padding_id(tokenizer), prompts=objective.prompts)
    if objective.references and model_ref:
        other = source_of(params, ModelRef.named(model_ref))
        if not _ask_other(other, params, run, corpus, collate):
            return
    with phase(run.emit, "loading model"):
        loaded, collate = _loaded(source, params, collate)
        checkpointing = recomputes_here(both(params, corpus.largest), loaded)
        loaded = adapt(loaded, params, head.peft_type)
    if objective.references and not model_ref and not _ask(loaded, params, run, corpus, collate):
        return
    trainer = trainer_of(
        *(PairsTrainer, params, run, loaded, corpus),
        collate=collate,
        objective=objective,
        checkpointing=checkpointing,
        **ways.arguments,
    )
    samples = continuing(params, tokenizer, corpus.good_answers, corpus.turn_end)
    samples.ask_before(trainer, loaded, run)
    if fit(trainer, params, run):
        samples.ask_after(trainer, loaded, run)
        ends_turns(loaded.model, tokenizer, corpus.turn_end, corpus.template)
        beside = partial(save_beside, tokenizer, corpus.template, samples)
        finish(loaded, params, run, beside)


def _loaded(
    source: Source, params: LlmParams, collate: CollatePairs
) -> tuple[Loaded, CollatePairs]:
    """Return a model, and how batches are made for it."""
    loaded = load(source, params, flash_attention=params.use_flash_attention_2)
    without_dropout(loaded.model)
    can = possible(params, loaded)
    return loaded, replace(
        collate,
        packed=can.packing,
        left=can.padding == "left",
        flat=lies_flat(loaded.model, packing=can.packing),
    )


def _ask(
    loaded: Loaded, params: LlmParams, run: Run, corpus: PairCorpus, collate: CollatePairs
) -> bool:
    with phase(run.emit, "asking the reference model"):
        return reference.ask(loaded, corpus.sets, collate, params.batch_size, run)


def _ask_other(
    source: Source, params: LlmParams, run: Run, corpus: PairCorpus, collate: CollatePairs
) -> bool:
    """Ask a model that is not the one to train; it is gone when this returns."""
    with phase(run.emit, "loading reference model"):
        loaded, collate = _loaded(source, params, collate)
        _knows(loaded, corpus)
    try:
        return _ask(loaded, params, run, corpus, collate)
    finally:
        del loaded
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _knows(loaded: Loaded, corpus: PairCorpus) -> None:
    """Raise `BadConfig` for a model that has not got the tokens of the one to train."""
    most = max(
        max(side.ids) for pair in corpus.train.pairs for side in (pair.chosen, pair.rejected)
    )
    if most >= loaded.model.get_input_embeddings().weight.shape[0]:
        raise BadConfig(
            f"{loaded.source.ref.name} has another vocabulary than the model to train.",
            fix="--model-ref with a model of the same family, or leave it out",
        )
