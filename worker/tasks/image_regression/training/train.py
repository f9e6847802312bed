"""Trains a model to give images a number: rows to images, images to steps, a folder in the end."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from transformers import AutoImageProcessor, Trainer

from worker.engine.fit import begin, finish, fit
from worker.engine.model import Loaded
from worker.engine.phases import phase
from worker.errors import BadData
from worker.families.pictures.examples import Example
from worker.families.pictures.training.heads import said, source_of, trainer, with_head
from worker.families.pictures.training.pictures import Pictures
from worker.families.pictures.training.store import Place, Store
from worker.families.training.scaling import Scale, heads
from worker.judged import scatter
from worker.reading import load as load_data
from worker.task import Run
from worker.tasks.image_regression.examples import divided, read
from worker.tasks.image_regression.params import ImageRegressionParams


def train(params: ImageRegressionParams, run: Run) -> None:
    """Train `run.model` on `run.data` and leave the result in `run.output`.

    Returns early, with a checkpoint written, once `run.stop` is set. Raises `HubtrainError`, and
    whatever torch raises when memory runs out.
    """
    begin(params)
    source = source_of(params, run)
    with phase(run.emit, "reading data"):
        processor = source.processor(AutoImageProcessor, backend="pil")
        album = gathered(params, run)
    with phase(run.emit, "loading model"):
        loaded = _in_full(with_head(source, params, "regression", (album.target,)))
        heads(loaded.model)
    scale = Scale.of([each.label for each in album.train])
    seed = params.seed if params.augment else None
    pictures = Pictures(album.store, album.train, scale.learned, processor, seed=seed)
    valid = Pictures(album.store, album.valid, scale.learned, processor)
    made = trainer(params, run, loaded, pictures, valid, measured=scale.measured)
    if fit(made, params, run, unit="images"):
        if album.valid:
            _draw(made, album.target, scale, run)
        scale.fold(loaded.model)
        finish(loaded, params, run, processor.save_pretrained)


def _draw(made: Trainer, target: str, scale: Scale, run: Run) -> None:
    """Draw what is predicted over what is true, for the card, in the numbers' own units."""
    with phase(run.emit, "drawing where it errs"):
        own = (scale.mean + scale.deviation * one.reshape(-1) for one in said(made))
        guesses, truth = (one.tolist() for one in own)
        scatter({target: list(zip(truth, guesses, strict=True))}, run.output)


@dataclass(frozen=True, slots=True)
class Album:
    """A job's images on this machine's disk."""

    store: Store
    train: list[Example[Place, float]]
    valid: list[Example[Place, float]]
    target: str
    """What the numbers are called."""


def gathered(params: ImageRegressionParams, run: Run) -> Album:
    """Return the images of `run.data`. Raises `BadData` where there is nothing to learn."""
    splits, store = load_data(run.data), Store(run.work / "images.bin")
    data = read(splits["train"], params, splits["train"].first(params.max_samples), store.keep)
    valid = None
    if "valid" in splits:
        valid = read(splits["valid"], params, splits["valid"].rows, store.keep)
    if len(set(data.numbers)) < 2:  # noqa: PLR2004
        raise BadData(f"{data.found.source} has no two images with different numbers.")
    return Album(store, *divided(data, valid, params), data.target)


def _in_full(loaded: Loaded) -> Loaded:
    """Return the same, to be saved in 32 bits: a bias of 5,000 in bfloat16 is off by up to 16."""
    return replace(loaded, precision=replace(loaded.precision, checkpoint=torch.float32))
