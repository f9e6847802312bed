"""Trains an image classifier: rows to images, images to steps, the result to a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from transformers import Trainer

from worker.engine import processes
from worker.engine.fit import finish, fit
from worker.engine.phases import phase
from worker.errors import BadData
from worker.families.pictures.training.album import Album, album_of, known
from worker.families.pictures.training.heads import begun, said, trainer, with_head
from worker.families.training.classes import draw_one, draw_several
from worker.families.training.measures import classification, several_labels
from worker.task import Run
from worker.tasks.image_classification.examples import Classes, Classified, held_out, read
from worker.tasks.image_classification.params import ImageParams

ONE, SEVERAL = "single_label_classification", "multi_label_classification"
"""What a model solves, in transformers' words."""


def train(params: ImageParams, run: Run) -> None:
    """Train `run.base` on `run.data` and leave the result in `run.output`.

    Returns early, with a checkpoint written, once `run.stop` is set. Raises `HubtrainError`, and
    whatever torch raises when memory runs out.
    """
    source, processor, album = begun(params, run, gathered)
    data = album.corpus.train
    with phase(run.emit, "loading model"):
        problem = SEVERAL if data.several else ONE
        loaded = with_head(source, params, problem, data.classes)
    measured = several_labels if data.several else classification
    target = target_of(data)
    made = trainer(params, run, loaded, processor, album, target=target, measured=measured)
    if fit(made, params, run):
        if album.corpus.held:
            _draw(made, data, run)
        finish(loaded, params, run, processor.save_pretrained)


def _draw(made: Trainer, data: Classified[Any], run: Run) -> None:
    """Draw which classes are taken for which, for the card."""
    with phase(run.emit, "drawing where it errs"):
        draw, seen = draw_several if data.several else draw_one, said(made)
        if processes.is_first():
            draw(data.classes, *seen, run.output)


def target_of(data: Classified[Any]) -> Callable[[Classes], Any]:
    """Return what makes a class's number of an example's label, or a 0 or 1 for each class."""
    if data.several:
        return partial(_each, data.classes)
    return partial(_number, {name: number for number, name in enumerate(data.classes)})


def _number(numbers: Mapping[str, int], label: Classes) -> int:
    return numbers[label[0]]


def _each(classes: Classes, label: Classes) -> list[float]:
    return [float(name in label) for name in classes]


def gathered(params: ImageParams, run: Run) -> Album[Classified[Any]]:
    """Return the images of `run.data`. Raises `BadData` where there is nothing to tell apart."""
    album = album_of(params, run, read, partial(held_out, seed=params.seed))
    data, valid = album.corpus.train, album.corpus.valid
    if valid and valid.several != data.several:
        raise BadData(f"Of the training split and {valid.source} only one has lists of classes.")
    if valid:
        known(data.classes, valid.used, valid.source)
    if len(data.used) < (1 if data.several else 2):
        raise BadData(
            f"{data.source} has no images of two classes: there is nothing to tell apart."
        )
    return album
