"""Trains a model of sentences with its library's trainer and losses, and saves it as that does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainingArguments
from sentence_transformers.sentence_transformer.losses import (
    CoSENTLoss,
    MultipleNegativesRankingLoss,
    SoftmaxLoss,
)
from sentence_transformers.sentence_transformer.training_args import BatchSamplers

from worker.engine import devices
from worker.engine.arguments import judged_first, trainer_parts
from worker.engine.fit import begin, fit, saving
from worker.engine.model import Loaded, precision
from worker.engine.phases import phase
from worker.engine.source import Source
from worker.engine.transformers4 import model_for_both, tokenizer_for_both
from worker.errors import BadData
from worker.families.corpus import learnable
from worker.reading import load as load_data
from worker.task import Run
from worker.tasks.sentence_transformers.params import SentenceParams
from worker.tasks.sentence_transformers.rows import (
    Example,
    SentenceCorpus,
    columns_of,
    gathered,
)
from worker.tasks.sentence_transformers.training.judging import (
    ClassEvaluator,
    draw_scores,
    evaluator_of,
)
from worker.tasks.sentence_transformers.training.trainer import SentenceTrainer, Shuffled

READERS = 2
"""Processes that make tokens while a GPU computes: this library does so anew for each batch."""

COLUMNS = ("sentence1", "sentence2", "sentence3")
"""What the library is given them as: it goes by their order."""


def train(params: SentenceParams, run: Run) -> None:
    """Train `run.base` on `run.data` and leave the result in `run.output`.

    Returns early, with a checkpoint written, once `run.stop` is set. Raises `HubtrainError`, and
    whatever torch raises when memory runs out.
    """
    begin(params)
    with phase(run.emit, "reading data"):
        corpus = _learnable(params, run)
    with phase(run.emit, "loading model"):
        loaded = load(params, run)
    trainer = _trainer(params, run, loaded, corpus)
    if fit(trainer, params, run):
        with saving(params, run):
            save(loaded, run.output)
            if isinstance(judge := trainer.evaluator, ClassEvaluator):
                judge.draw(loaded.model, corpus.train.classes, run.output)
            elif corpus.held and params.learns.target == "score":
                draw_scores(loaded.model, corpus.held, run.output)


class Loading:
    """Loads a model of sentences as transformers' classes load theirs, for `Source`.

    Of any other model of text it makes one, whose vectors are the means of those of the tokens.
    """

    @staticmethod
    def from_pretrained(name: str, **how: Any) -> SentenceTransformer:
        """Return the model that is called so."""
        return SentenceTransformer(name, **how)


def load(params: SentenceParams, run: Run) -> Loaded:
    """Return the model, on the device that trains it. Raises `HubtrainError`."""
    source = Source(run.base, Loading, params.trust_remote_code)
    config = source.config()
    chosen = precision(params, config.dtype or torch.float32)
    how = {"device": devices.device(), "model_kwargs": {"dtype": chosen.weights}}
    model = source.processor(Loading, **how)
    model.max_seq_length = params.seen(config.to_dict())
    if model.tokenizer.pad_token is None:  # decoders often have none
        model.tokenizer.pad_token = model.tokenizer.eos_token
    return Loaded(source, model, chosen)


def save(loaded: Loaded, folder: Path) -> None:
    """Write the model as its library does: `modules.json`, and what that names."""
    model = loaded.model.to(loaded.precision.checkpoint)
    model.save_pretrained(str(folder), create_model_card=False)
    model_for_both(folder)
    tokenizer_for_both(folder, model.tokenizer.model_input_names)


def _learnable(params: SentenceParams, run: Run) -> SentenceCorpus:
    corpus = learnable(gathered(load_data(run.data), params), "all its sentences")
    if params.learns.target == "class":
        known = set(corpus.train.classes)
        if unknown := sorted({str(one.target) for one in corpus.held} - known):
            raise BadData(f"there are classes without a training pair: {', '.join(unknown)}.")
    return corpus


def _trainer(
    params: SentenceParams, run: Run, loaded: Loaded, corpus: SentenceCorpus
) -> SentenceTrainer:
    classes = corpus.train.classes if params.learns.target == "class" else ()
    loss = loss_of(params, loaded.model, len(classes))
    learned, held = (dataset(some, params, classes) for some in (corpus.learned, corpus.held))
    more: dict[str, Any] = {
        "kind": SentenceTransformerTrainingArguments,
        # a sentence that is there twice would count as its own negative
        "batch_sampler": BatchSamplers.NO_DUPLICATES if params.learns.batch_negatives else Shuffled,
        # the loss depends on how many negatives a batch has: validate with as many
        "per_device_eval_batch_size": params.batch_size
        if params.learns.batch_negatives
        else 2 * params.batch_size,
        "eval_on_start": judged_first(params, run, held),
        "dataloader_num_workers": devices.readers(READERS),
    }
    return SentenceTrainer(
        **trainer_parts(params, run, loaded, learned, held, **more),
        loss=loss,
        evaluator=evaluator_of(params, corpus.held, classes, loss),
    )


def loss_of(params: SentenceParams, model: SentenceTransformer, classes: int) -> torch.nn.Module:
    """Return the loss of a trainer: those that AutoTrain had."""
    loss: torch.nn.Module
    if params.learns.target == "class":
        loss = SoftmaxLoss(model, model.get_embedding_dimension(), classes)
    elif params.learns.target == "score":
        loss = CoSENTLoss(model)
    else:
        loss = MultipleNegativesRankingLoss(model)
    return loss


def dataset(examples: Sequence[Example], params: SentenceParams, classes: Sequence[str]) -> Dataset:
    """Return examples as the library takes them: columns of sentences, then `label` or `score`."""
    columns: dict[str, list[Any]] = dict(
        zip(COLUMNS, columns_of(examples, params.learns.sentences), strict=False)
    )
    if params.learns.target == "class":
        columns["label"] = [classes.index(str(one.target)) for one in examples]
    elif params.learns.target == "score":
        columns["score"] = [one.target for one in examples]
    return Dataset.from_dict(columns)
