"""Trains a model that says something of a whole text: classes, or a number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from transformers import AutoModelForSequenceClassification, EvalPrediction

from worker.engine import processes
from worker.engine.fit import finish, fit
from worker.engine.model import Loaded
from worker.engine.phases import phase
from worker.engine.source import Source
from worker.families.text.examples import Example, TextAndTarget, TextCorpus
from worker.families.text.training.batches import (
    Collate,
    TextTrainer,
    Tokens,
    longest_first,
    tokenized,
    trainer_of,
)
from worker.families.text.training.heads import saving, tokenizer_of, with_head
from worker.families.training.measures import logits_of
from worker.task import Run

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Head(Generic[T]):
    """What a model says of a text."""

    label: Callable[[T], Any]
    """Returns what is learned as a number or an array."""

    measured: Callable[[Any, Any], dict[str, float]]
    """Returns the measures of logits (texts, classes) and labels."""

    drawn: Callable[[Any, Any, Path], None]
    """Draws where logits err from labels, for the card, into a folder."""

    done: Callable[[], None] = lambda: None
    """Is called once the model has learned, before it is saved."""


def train(
    params: TextAndTarget,
    run: Run,
    corpus: TextCorpus[T],
    labels: Mapping[str, Any],
    head_of: Callable[[Any], Head[T]],
) -> None:
    """Train `run.base` on a corpus, and leave the result in `run.output`.

    `labels` are settings of the model's configuration: `problem_type`, `id2label`, `label2id`;
    `head_of` is given the model. Returns early, with a checkpoint written, once `run.stop` is set.
    Raises `HubtrainError`, and whatever torch raises when memory runs out.
    """
    source = Source(run.base, AutoModelForSequenceClassification, params.trust_remote_code)
    with phase(run.emit, "loading model"):
        tokenizer = tokenizer_of(source)
        loaded = with_head(source, params, tokenizer, "SEQ_CLS", **labels)
    head, most = head_of(loaded.model), params.seen(loaded.model.config.to_dict())
    with phase(run.emit, "reading tokens"):
        learned = _rows(corpus.learned, tokenizer, most, head)
        held = longest_first(_rows(corpus.held, tokenizer, most, head))
    trainer = _trainer(params, run, loaded, Collate(tokenizer), head, learned=learned, held=held)
    if fit(trainer, params, run):
        if held:
            _draw(trainer, head, run.output)
        head.done()
        finish(loaded, params, run, saving(tokenizer, most))


def _draw(trainer: TextTrainer, head: Head[Any], folder: Path) -> None:
    """Let the finished model judge the held-out rows once more, and draw where it errs."""
    seen = trainer.predict(trainer.eval_dataset)
    if processes.is_first():
        head.drawn(_logits(seen), seen.label_ids, folder)


def _logits(seen: Any) -> Any:
    """Return what was predicted, in 64 bits."""
    return np.asarray(logits_of(seen.predictions), np.float64)


def _rows(some: Sequence[Example[T]], tokenizer: Any, most: int, head: Head[T]) -> list[Tokens]:
    found = tokenized(tokenizer, [one.text for one in some], most)
    return [{**row, "labels": head.label(one.target)} for row, one in zip(found, some, strict=True)]


def _trainer(
    params: TextAndTarget,
    run: Run,
    loaded: Loaded,
    collate: Collate,
    head: Head[Any],
    *,
    learned: list[Tokens],
    held: list[Tokens],
) -> TextTrainer:
    def measured(seen: EvalPrediction) -> dict[str, float]:
        return head.measured(_logits(seen), seen.label_ids)

    how: dict[str, Any] = {"data_collator": collate, "compute_metrics": measured}
    return trainer_of(params, run, loaded, learned, held, **how)
