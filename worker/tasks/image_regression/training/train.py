"""Trains a model to give images a number: rows to images, images to steps, a folder in the end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from transformers import Trainer

from worker.engine import processes
from worker.engine.fit import finish, fit
from worker.engine.model import Loaded
from worker.engine.phases import phase
from worker.errors import BadData
from worker.evaluation_plots import scatter
from worker.families.pictures.training.album import Album, album_of
from worker.families.pictures.training.heads import begun, said, trainer, with_head
from worker.families.training.scaling import Scale, heads
from worker.task import Run
from worker.tasks.image_regression.examples import Scored, read
from worker.tasks.image_regression.params import ImageRegressionParams


def train(params: ImageRegressionParams, run: Run) -> None:
    """Train `run.base` on `run.data` and leave the result in `run.output`.

    Returns early, with a checkpoint written, once `run.stop` is set. Raises `HubtrainError`, and
    whatever torch raises when memory runs out.
    """
    source, processor, album = begun(params, run, gathered)
    corpus, named = album.corpus, album.corpus.train.target
    with phase(run.emit, "loading model"):
        loaded = _in_full(with_head(source, params, "regression", (named,)))
        heads(loaded.model, ImageRegressionParams.model_fields["model"].default)
    scale = Scale.of([each.label for each in corpus.learned])
    learned, measured = scale.learned, scale.measured
    made = trainer(params, run, loaded, processor, album, target=learned, measured=measured)
    if fit(made, params, run):
        if corpus.held:
            _draw(made, named, scale, run)
        scale.fold(loaded.model)
        finish(loaded, params, run, processor.save_pretrained)


def _draw(made: Trainer, target: str, scale: Scale, run: Run) -> None:
    """Draw what is predicted over what is true, for the card, in the numbers' own units."""
    with phase(run.emit, "drawing where it errs"):
        own = (scale.mean + scale.deviation * one.reshape(-1) for one in said(made))
        guesses, truth = (one.tolist() for one in own)
        if processes.is_first():
            scatter({target: list(zip(truth, guesses, strict=True))}, run.output)


def gathered(params: ImageRegressionParams, run: Run) -> Album[Scored[Any]]:
    """Return the images of `run.data`. Raises `BadData` where there is nothing to learn."""
    album = album_of(params, run, read)
    data = album.corpus.train
    if len(set(data.numbers)) < 2:  # noqa: PLR2004
        raise BadData(f"{data.source} has no two images with different numbers.")
    return album


def _in_full(loaded: Loaded) -> Loaded:
    """Return the same, to be saved in 32 bits: a bias of 5,000 in bfloat16 is off by up to 16."""
    return replace(loaded, precision=replace(loaded.precision, checkpoint=torch.float32))
