"""Trains a model of sentences with the library that it is loaded by, and saves it as that does."""

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
from worker.engine.arguments import trainer_parts
from worker.engine.fit import begin, fit, saving
from worker.engine.model import Loaded, precision
from worker.engine.phases import phase
from worker.engine.source import Source
from worker.engine.transformers4 import model_for_both, tokenizer_for_both
from worker.errors import BadData
from worker.families.text.corpus import learnable
from worker.reading import load as load_data
from worker.task import Run
from worker.tasks.sentence_transformers.params import SentenceParams
from worker.tasks.sentence_transformers.rows import (
    Example,
    SentenceCorpus,
    columns_of,
    gathered,
)
from worker.tasks.sentence_transformers.training.judging import judge_of
from worker.tasks.sentence_transformers.training.trainer import SentenceTrainer, Shuffled

NAMES = ("sentence1", "sentence2", "sentence3")


def train(params: SentenceParams, run: Run, *, unit: str) -> None:
    """Train `run.base` on `run.data` and leave the result in `run.output`.

    Returns early, with a checkpoint written, once `run.stop` is set. Raises `HubtrainError`, and
    whatever torch raises when memory runs out.
    """
    begin(params)
    with phase(run.emit, "reading data"):
        corpus = _corpus(params, run)
    with phase(run.emit, "loading model"):
        loaded = opened(params, run)
    trainer = _trainer(params, run, loaded, corpus)
    if fit(trainer, params, run, unit=unit):
        with saving(params, run):
            save(loaded, run.output)


class Opening:
    """Opens a model of sentences, or makes one of any that reads text, with the mean of what it
    makes of tokens as the vector."""

    @staticmethod
    def from_pretrained(name: str, **how: Any) -> SentenceTransformer:
        """Return it, as transformers' classes would."""
        return SentenceTransformer(name, **how)


def opened(params: SentenceParams, run: Run) -> Loaded:
    """Return the model, on the device that trains it. Raises `HubtrainError`."""
    source = Source(run.base, Opening, params.trust_remote_code)
    config = source.config()
    chosen = precision(params, config.dtype or torch.float32)
    how = {"device": devices.device(), "model_kwargs": {"dtype": chosen.weights}}
    model = source.processor(Opening, **how)
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


def _corpus(params: SentenceParams, run: Run) -> SentenceCorpus:
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
    goes_on = run.last_checkpoint is not None or run.stop.is_set()
    more: dict[str, Any] = {
        "kind": SentenceTransformerTrainingArguments,
        # what is told from the others of a batch must not be among them once more
        "batch_sampler": BatchSamplers.NO_DUPLICATES if params.learns.ranks else Shuffled,
        "per_device_eval_batch_size": params.batch_size
        if params.learns.ranks
        else 2 * params.batch_size,
        # judged before it is trained, so that the card can tell both
        "eval_on_start": bool(held) and params.eval_strategy != "no" and not goes_on,
    }
    return SentenceTrainer(
        **trainer_parts(params, run, loaded, learned, held, **more),
        loss=loss,
        evaluator=judge_of(params, corpus.held, classes, loss),
    )


def loss_of(params: SentenceParams, model: SentenceTransformer, classes: int) -> torch.nn.Module:
    """Return what a model learns by: as AutoTrain had it for each trainer."""
    loss: torch.nn.Module
    if params.learns.target == "class":
        loss = SoftmaxLoss(model, model.get_embedding_dimension(), classes)
    elif params.learns.target == "score":
        loss = CoSENTLoss(model)
    else:
        loss = MultipleNegativesRankingLoss(model)
    return loss


def dataset(examples: Sequence[Example], params: SentenceParams, classes: Sequence[str]) -> Dataset:
    """Return examples as the library takes them."""
    columns: dict[str, list[Any]] = dict(
        zip(NAMES, columns_of(examples, params.learns.sentences), strict=False)
    )
    if params.learns.target == "class":
        columns["label"] = [classes.index(str(one.target)) for one in examples]
    elif params.learns.target == "score":
        columns["score"] = [one.target for one in examples]
    return Dataset.from_dict(columns)
