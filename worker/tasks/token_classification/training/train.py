"""Trains a tagger: rows to sentences, sentences to steps, the result to a folder."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from transformers import AutoModelForTokenClassification, EvalPrediction

from worker import evaluation_plots
from worker.engine import processes
from worker.engine.fit import begin, finish, fit
from worker.engine.model import Loaded
from worker.engine.phases import phase
from worker.engine.source import Source
from worker.families.heads import numbered
from worker.families.tags import split
from worker.families.text.training.batches import Collate, TextTrainer, longest_first, trainer_of
from worker.families.text.training.heads import saving, tokenizer_of, with_head
from worker.families.training.entities import NOT_JUDGED, named, tagging
from worker.families.training.measures import logits_of
from worker.reading import load as load_data
from worker.task import Run
from worker.tasks.token_classification.params import TokenParams
from worker.tasks.token_classification.rows import Tagged, gathered, learnable, tags_of
from worker.tasks.token_classification.training.labelled import labelled


def train(params: TokenParams, run: Run) -> None:
    """Train `run.base` on `run.data` and leave the result in `run.output`.

    Returns early, with a checkpoint written, once `run.stop` is set. Raises `HubtrainError`, and
    whatever torch raises when memory runs out.
    """
    begin(params)
    source = Source(run.base, AutoModelForTokenClassification, params.trust_remote_code)
    with phase(run.emit, "reading data"):
        tokenizer = tokenizer_of(source)
        corpus = learnable(gathered(load_data(run.data), params))
    tags = tags_of(corpus)
    with phase(run.emit, "loading model"):
        loaded = with_head(source, params, tokenizer, "TOKEN_CLS", **numbered(tags))
    trainer = _trainer(params, run, loaded, tokenizer, corpus)
    if fit(trainer, params, run):
        if trainer.eval_dataset:
            _draw(trainer, tags, run.output)
        most = params.seen(loaded.model.config.to_dict())
        finish(loaded, params, run, saving(tokenizer, most))


def _trainer(
    params: TokenParams,
    run: Run,
    loaded: Loaded,
    tokenizer: Any,
    corpus: Tagged,
) -> TextTrainer:
    most, tags = params.seen(loaded.model.config.to_dict()), tags_of(corpus)
    numbers = {tag: number for number, tag in enumerate(tags)}
    rows = partial(labelled, tokenizer, numbers=numbers, most=most)
    train = rows(corpus.learned, judged=False)
    valid = longest_first(rows(corpus.held, judged=True))
    how: dict[str, Any] = {
        "data_collator": Collate(tokenizer, labels=NOT_JUDGED),
        "compute_metrics": partial(_measured, tags),
        "preprocess_logits_for_metrics": _guessed,
    }
    return trainer_of(params, run, loaded, train, valid, **how)


def _draw(trainer: TextTrainer, names: tuple[str, ...], folder: Path) -> None:
    """Let the finished model judge once more, and draw what it takes words of each kind for."""
    seen = trainer.predict(trainer.eval_dataset)
    if processes.is_first():
        sides = named(seen.predictions, seen.label_ids, names)
        true, said = ([split(tag)[1] or tag for row in side for tag in row] for side in sides)
        evaluation_plots.confusion(said, true, folder)


def _guessed(logits: Any, labels: Any) -> Any:
    """Return the likeliest tag of each token: all that has to be kept of a validation."""
    return logits_of(logits).argmax(dim=-1)


def _measured(names: tuple[str, ...], seen: EvalPrediction) -> dict[str, float]:
    return tagging(*named(seen.predictions, seen.label_ids, names))
