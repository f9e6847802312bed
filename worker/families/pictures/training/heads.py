"""Trains a model that sees whole images under a new head, whatever the head says of an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from transformers import AutoImageProcessor, AutoModelForImageClassification, EvalPrediction

from worker.engine.adapter import adapt
from worker.engine.arguments import trainer_parts
from worker.engine.fit import begin
from worker.engine.model import Loaded, load
from worker.engine.phases import phase
from worker.engine.source import Source
from worker.engine.trainer import LeanTrainer
from worker.families.heads import numbered
from worker.families.pictures.examples import Examples
from worker.families.pictures.settings import WholeImages
from worker.families.pictures.training.album import Album
from worker.families.pictures.training.pictures import Epochs, Pictures, collate, readers
from worker.families.training.measures import Numbers, logits_of
from worker.task import Run

W = TypeVar("W", bound=WholeImages)
D = TypeVar("D", bound=Examples[Any, Any])


def begun(
    params: W, run: Run, gathered: Callable[[W, Run], Album[D]]
) -> tuple[Source, Any, Album[D]]:
    """Begin: return where the model comes from, its processor, and what it is to learn from."""
    begin(params)
    source = Source(run.base, AutoModelForImageClassification, params.trust_remote_code)
    with phase(run.emit, "reading data"):
        return source, source.processor(AutoImageProcessor, backend="pil"), gathered(params, run)


def with_head(
    source: Source, params: WholeImages, problem: str, classes: tuple[str, ...]
) -> Loaded:
    """Return the model with a head for `classes`, and an adapter where one is asked for.

    `problem` is transformers' name of what it solves, which decides the loss: `regression`.
    """
    head = {
        **numbered(classes),
        "problem_type": problem,
        "ignore_mismatched_sizes": True,
    }
    loaded = load(replace(source, more=head), params)
    layers = [name for name, _ in loaded.model.named_children() if "classif" in name]
    return adapt(loaded, params, None, modules_to_save=layers)


def trainer(
    params: WholeImages,
    run: Run,
    loaded: Loaded,
    processor: Any,
    album: Album[Any],
    *,
    target: Callable[[Any], Any],
    measured: Callable[[Numbers, Numbers], dict[str, float]],
) -> LeanTrainer:
    """Return what trains and judges.

    `target` makes a number, or a list of numbers, of what an example says; `measured` is given
    logits (examples, classes) and these.
    """
    store, corpus, seed = album.store, album.corpus, params.seed if params.augment else None
    train = Pictures(store, corpus.learned, target, processor, seed=seed)
    valid = Pictures(store, corpus.held, target, processor)

    def measure(seen: EvalPrediction) -> dict[str, float]:
        return measured(logits_of(seen.predictions), seen.label_ids)

    more: dict[str, Any] = {"label_names": ["labels"], "dataloader_num_workers": readers()}
    more["neftune_noise_alpha"] = None  # there are no words
    return LeanTrainer(
        **trainer_parts(params, run, loaded, train, valid, **more),
        data_collator=collate,
        compute_metrics=measure,
        callbacks=[Epochs(train)],
    )


def said(made: LeanTrainer) -> tuple[Numbers, Numbers]:
    """Return what a model says of the images that judge, (images, classes), and the truth."""
    seen = made.predict(made.eval_dataset)
    return logits_of(seen.predictions), seen.label_ids
