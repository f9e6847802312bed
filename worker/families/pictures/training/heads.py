"""Trains a model that sees whole images under a new head, whatever the head says of an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from transformers import AutoModelForImageClassification, EvalPrediction, Trainer

from worker.engine.adapter import adapt
from worker.engine.arguments import trainer_parts
from worker.engine.model import Loaded, load
from worker.engine.source import Source
from worker.families.pictures.settings import WholeImages
from worker.families.pictures.training.pictures import Epochs, Pictures, collate, readers
from worker.families.training.measures import Numbers
from worker.task import Run


def source_of(params: WholeImages, run: Run) -> Source:
    """Return where the model to train comes from."""
    return Source(run.base, AutoModelForImageClassification, params.trust_remote_code)


def with_head(
    source: Source, params: WholeImages, problem: str, classes: tuple[str, ...]
) -> Loaded:
    """Return the model with a head for `classes`, and an adapter where one is asked for.

    `problem` is transformers' name of what it solves, which decides the loss: `regression`.
    """
    head = {
        "id2label": dict(enumerate(classes)),
        "label2id": {name: number for number, name in enumerate(classes)},
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
    train: Pictures[Any],
    valid: Pictures[Any],
    *,
    measured: Callable[[Numbers, Numbers], dict[str, float]],
) -> Trainer:
    """Return what trains; `measured` is given logits (examples, classes) and labels."""

    def measure(seen: EvalPrediction) -> dict[str, float]:
        logits = seen.predictions[0] if isinstance(seen.predictions, tuple) else seen.predictions
        return measured(logits, seen.label_ids)

    more: dict[str, Any] = {"label_names": ["labels"], "dataloader_num_workers": readers()}
    return Trainer(
        **trainer_parts(params, run, loaded, train, valid, **more),
        data_collator=collate,
        compute_metrics=measure,
        callbacks=[Epochs(train)],
    )


def said(made: Trainer) -> tuple[Numbers, Numbers]:
    """Return what a model says of the images that judge, (images, classes), and the truth."""
    seen = made.predict(made.eval_dataset)
    found = seen.predictions
    return (found[0] if isinstance(found, tuple) else found), seen.label_ids
