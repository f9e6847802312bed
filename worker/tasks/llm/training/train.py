"""Trains a language model: examples to packed rows, rows to steps, the result to a folder."""

from __future__ import annotations

import inspect
import sys
from functools import partial
from pathlib import Path
from typing import Any

from worker.engine import attention, devices, processes
from worker.engine.adapter import adapt
from worker.engine.arguments import judged_first, trainer_parts
from worker.engine.fit import begin, finish, fit
from worker.engine.loss import causal_loss, save_memory
from worker.engine.model import Loaded, load
from worker.engine.phases import phase
from worker.engine.speaking import ends_turns, save_tokenizer
from worker.engine.token_trainer import COUNTED, TokenTrainer
from worker.task import Run
from worker.tasks.llm import trainers
from worker.tasks.llm.cost import COPIED
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.training.batches import (
    Collate,
    TrainingRows,
    attends_in_packs,
    keeps_apart,
)
from worker.tasks.llm.training.corpus import Corpus, tokenized
from worker.tasks.llm.training.memory import in_larger_passes, recomputes_here
from worker.tasks.llm.training.opening import opened, source_of
from worker.tasks.llm.training.samples import Samples, continuing


def train(params: LlmParams, run: Run) -> None:
    """Train `run.base` on `run.data` and leave the result in `run.output`.

    Returns early, with a checkpoint written, once `run.stop` is set. Raises `HubtrainError`, and
    whatever torch raises when memory runs out.
    """
    begin(params)
    head = trainers.of(params).head
    source = source_of(params, run.base)
    with phase(run.emit, "reading data"):
        params, tokenizer = opened(params, source)
        corpus = processes.once(
            partial(tokenized, params, run, tokenizer), run.work / "corpus.pickle"
        )
    with phase(run.emit, "loading model"):
        loaded = load(source, params, flash_attention=params.use_flash_attention_2)
        lean = save_memory(loaded.model)
        params = possible(params, loaded)
        if lean:  # another loss holds logits several times over
            params = in_larger_passes(params, loaded)
        checkpointing = recomputes_here(params, loaded, 1.0 if lean else COPIED)
        loaded = adapt(loaded, params, head.peft_type)
    trainer = _trainer(params, run, loaded, tokenizer, corpus, checkpointing=checkpointing)
    samples = continuing(params, tokenizer, corpus.valid or corpus.train, corpus.turn_end)
    samples.ask_before(trainer, loaded, run)
    if fit(trainer, params, run):
        samples.ask_after(trainer, loaded, run)
        ends_turns(loaded.model, tokenizer, corpus.turn_end, corpus.template)
        beside = partial(save_beside, tokenizer, corpus.template, samples)
        finish(loaded, params, run, beside)


def save_beside(tokenizer: Any, template: str | None, samples: Samples, folder: Path) -> None:
    """Write what goes out with a model: its tokenizer, and what it said."""
    save_tokenizer(tokenizer, template, folder)
    samples.write(folder)


def _trainer(
    params: LlmParams,
    run: Run,
    loaded: Loaded,
    tokenizer: Any,
    corpus: Corpus,
    *,
    checkpointing: bool,
) -> TokenTrainer:
    rows, valid = (
        TrainingRows.laid_out(examples, params.row_tokens, packing=params.packing)
        for examples in (corpus.train, corpus.valid)
    )
    begins = {"eval_on_start": judged_first(params, run, corpus.valid)}
    more = {"checkpointing": checkpointing, **COUNTED, **begins}
    return TokenTrainer(
        **trainer_parts(params, run, loaded, rows, valid, **more),
        data_collator=collate_of(params, loaded.model, tokenizer),
    )


def possible(params: LlmParams, loaded: Loaded) -> LlmParams:
    """Return the settings without what this model cannot do: see where an example begins.

    Such a model sees whatever stands before an example: others in a packed row, padding on the
    left. Padding on the right trains the same and is seen by nothing that counts.
    """
    model, precision = loaded.model, loaded.precision
    words = model.config.get_text_config().vocab_size
    if needs_no_mask(loaded) or not (params.packing or params.padding == "left"):
        return params
    with precision.mixed():  # as training will
        if keeps_apart(model, words):
            return params
    if params.packing:
        sys.stderr.write("This model cannot keep packed examples apart: each gets its own row.\n")
    if params.padding == "left":
        sys.stderr.write(
            "This model would see padding on the left: rows are padded on the right.\n"
        )
    return params.model_copy(update={"packing": False, "padding": "right"})


def needs_no_mask(loaded: Loaded) -> bool:
    """Give the model attention that keeps examples apart without a mask; whether it could be.

    It takes a CPU, or a GPU and 16-bit numbers.
    """
    model, precision = loaded.model, loaded.precision
    here = devices.device()
    if here != "cpu" and not (here == "cuda" and precision.autocast):
        return False
    with precision.mixed():
        return attends_in_packs(model, model.config.get_text_config().vocab_size)


def collate_of(params: LlmParams, model: Any, tokenizer: Any) -> Collate:
    """Return how batches of packed rows are made for this model and its attention."""
    return Collate(
        pad=padding_id(tokenizer),
        left=params.padding == "left",
        sparse=_can_be_sparse(model),
        flat=lies_flat(model, packing=params.packing),
    )


def lies_flat(model: Any, *, packing: bool) -> bool:
    """Whether a batch is one row: the package flash-attn heeds positions in single rows only, and
    torch's own flash attention needs no padding there."""
    package = model.config._attn_implementation == "flash_attention_2"
    return bool(package or (packing and attention.lent(model)))


def padding_id(tokenizer: Any) -> int:
    """Return the token that fills up shorter rows, where nothing is learned."""
    pad = tokenizer.pad_token_id
    return int(pad if pad is not None else (tokenizer.eos_token_id or 0))


def _can_be_sparse(model: Any) -> bool:
    """Whether the model can compute only some logits, and its loss is the usual one."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    takes = inspect.signature(base.forward).parameters
    return "logits_to_keep" in takes and getattr(base, "loss_function", None) is causal_loss
