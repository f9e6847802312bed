"""Trains a masked language model: texts to rows, rows with hidden tokens to steps."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from worker.engine import processes
from worker.engine.adapter import adapt
from worker.engine.arguments import trainer_parts
from worker.engine.fit import begin, finish, fit
from worker.engine.loss import IGNORED, summed
from worker.engine.model import Loaded, load
from worker.engine.phases import phase
from worker.engine.token_trainer import COUNTED, TokenTrainer
from worker.errors import BadConfig
from worker.task import Run
from worker.tasks.llm import trainers
from worker.tasks.llm.params import LlmParams
from worker.tasks.llm.training import masking
from worker.tasks.llm.training.batches import TrainingRows
from worker.tasks.llm.training.blanks import blanks
from worker.tasks.llm.training.corpus import Corpus, tokenized
from worker.tasks.llm.training.masking import Hiding, MaskedRows
from worker.tasks.llm.training.memory import recomputes_here
from worker.tasks.llm.training.opening import opened, source_of
from worker.tasks.llm.training.samples import Samples, count_of
from worker.tasks.llm.training.train import save_beside


def train(params: LlmParams, run: Run) -> None:
    """Train `run.base` on `run.data` and leave the result in `run.output`.

    Returns early, with a checkpoint written, once `run.stop` is set. Raises `HubtrainError`, and
    whatever torch raises when memory runs out.
    """
    begin(params)
    trainer = trainers.of(params)
    source = source_of(params, run.base)
    with phase(run.emit, "reading data"):
        params, tokenizer = opened(params, source)
        hide = hiding(params, tokenizer)
        corpus = processes.once(
            partial(tokenized, params, run, tokenizer), run.work / "corpus.pickle"
        )
    with phase(run.emit, "loading model"):
        loaded = load(source, params, flash_attention=params.use_flash_attention_2)
        batches, sparse = ways(params, loaded, hide, tokenizer.pad_token_id or 0)
        checkpointing = recomputes_here(params, loaded, hide.probability if sparse else 1.0)
        loaded = adapt(loaded, params, trainer.head.peft_type)
    fitting = _trainer(
        *(params, run, loaded, corpus),
        batches=batches,
        sparse=sparse,
        checkpointing=checkpointing,
    )
    texts = corpus.valid or corpus.train
    samples = Samples(blanks(tokenizer, hide, texts, count_of(params)))
    samples.ask_before(fitting, loaded, run)
    if fit(fitting, params, run):
        samples.ask_after(fitting, loaded, run)
        finish(loaded, params, run, partial(save_beside, tokenizer, corpus.template, samples))


def hiding(params: LlmParams, tokenizer: Any) -> Hiding:
    """Return which tokens are hidden. Raises `BadConfig` where none can be."""
    if tokenizer.mask_token_id is None:
        raise BadConfig(f"The tokenizer of {params.model} has no token that hides another.")
    return Hiding(
        probability=trainers.of(params).own(params).mlm_probability,
        mask=tokenizer.mask_token_id,
        vocabulary=len(tokenizer),
        special=tuple(tokenizer.all_special_ids),
    )


def ways(params: LlmParams, loaded: Loaded, hide: Hiding, pad: int) -> tuple[MaskedRows, bool]:
    """Return how batches are made for this model, and whether it can predict some tokens alone."""
    model = loaded.model
    device = next(model.parameters()).device
    ids = masking.plain_tokens(hide.special, hide.vocabulary, device)
    with loaded.precision.mixed():
        first = masking.first_position(model, ids, pad) if params.packing else None
        sparse = masking.predicts_some(model, ids)
    if params.packing and first is None:
        sys.stderr.write("This model cannot keep packed texts apart: each gets its own row.\n")
    return MaskedRows(hide, pad, first), sparse


def _trainer(
    params: LlmParams,
    run: Run,
    loaded: Loaded,
    corpus: Corpus,
    *,
    batches: MaskedRows,
    sparse: bool,
    checkpointing: bool,
) -> MaskedTrainer:
    rows, valid = (
        TrainingRows.laid_out(pieces, params.row_tokens, packing=batches.first is not None)
        for pieces in (corpus.train, corpus.valid)
    )
    return MaskedTrainer(
        **trainer_parts(params, run, loaded, rows, valid, checkpointing=checkpointing, **COUNTED),
        data_collator=batches,
        sparse=sparse,
    )


class MaskedTrainer(TokenTrainer):
    """Trains on batches of `MaskedRows`; the loss is the mean over the tokens to learn."""

    data_collator: Any

    def __init__(self, *args: Any, sparse: bool, **more: Any) -> None:
        """`sparse` says that the model can compute logits of some tokens alone."""
        super().__init__(*args, **more)
        self._sparse = sparse
        self.model_accepts_loss_kwargs = True  # the loss is divided by what the whole step learns

    def get_train_dataloader(self) -> Any:
        """Return batches of the training split, in which no token is hidden yet."""
        with self._collating(self.data_collator.bare):
            return super().get_train_dataloader()

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """Return batches of the validation split, in which the same tokens are hidden each time."""
        with self._collating(replace(self.data_collator, seed=self.args.seed)):
            return super().get_eval_dataloader(eval_dataset)

    @contextmanager
    def _collating(self, collate: Callable[..., Any]) -> Iterator[None]:
        batches, self.data_collator = self.data_collator, collate
        try:
            yield
        finally:
            self.data_collator = batches

    def ready(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return a batch with tokens hidden.

        What is hidden follows from the number of the step and from the row, and so is the same in
        whichever of several processes a row is. Loaders are a batch ahead: what is drawn in them
        would be drawn anew where a training goes on from a checkpoint.
        """
        drawn = zlib.crc32(f"{self.args.seed} {self.state.global_step}".encode())
        hidden: dict[str, torch.Tensor] = replace(self.data_collator, seed=drawn).hidden(batch)
        return hidden

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Return the loss of a batch, divided by the learned tokens of the whole step."""
        total, learned = self._total(model, inputs)
        of_step = learned if num_items_in_batch is None else num_items_in_batch
        if num_items_in_batch is not None:
            total = total * self.accelerator.num_processes  # whose gradients are averaged
        return total / max(1, int(of_step))  # in a short row it may be that nothing is hidden

    def nats(self, model: Any, batch: dict[str, Any]) -> tuple[float, int]:
        """Return the loss of a batch, summed over its learned tokens, and how many those are."""
        total, learned = self._total(model, self._prepare_inputs(batch))
        return float(total), learned

    def _total(self, model: Any, batch: dict[str, Any]) -> tuple[torch.Tensor, int]:
        labels = batch["labels"]
        keep = labels != IGNORED
        own = self.accelerator.unwrap_model(model)
        given = masking.seen(own, batch)
        if self._sparse:
            with masking.predicting(own, keep):
                logits = model(**given).logits
        else:
            logits = model(**given).logits[keep]
        return summed(logits, labels[keep]), int(keep.sum())
