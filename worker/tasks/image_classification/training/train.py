"""Trains an image classifier: rows to images, images to steps, the result to a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from transformers import AutoImageProcessor, Trainer

from worker.engine.fit import begin, finish, fit
from worker.engine.model import Loaded
from worker.engine.phases import phase
from worker.errors import BadData
from worker.families.pictures.examples import Example
from worker.families.pictures.training.heads import said, source_of, trainer, with_head
from worker.families.pictures.training.pictures import Pictures
from worker.families.pictures.training.store import Place, Store
from worker.families.training.measures import classification, several_labels
from worker.judged import confusion
from worker.reading import load as load_data
from worker.task import Run
from worker.tasks.image_classification.examples import Classes, Classified, divided, read
from worker.tasks.image_classification.params import ImageParams

ONE, SEVERAL = "single_label_classification", "multi_label_classification"
"""What a model solves, in transformers' words."""


def train(params: ImageParams, run: Run) -> None:
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
        problem = SEVERAL if album.several else ONE
        loaded = with_head(source, params, problem, album.classes)
    made = _trainer(params, run, loaded, processor, album)
    if fit(made, params, run, unit="images"):
        if album.valid and not album.several:
            _draw(made, album.classes, run)
        finish(loaded, params, run, processor.save_pretrained)


def _draw(made: Trainer, classes: Classes, run: Run) -> None:
    """Draw which classes are taken for which, for the card."""
    with phase(run.emit, "drawing where it errs"):
        logits, labels = said(made)
        guessed = (classes[number] for number in logits.argmax(axis=1))
        confusion(guessed, (classes[number] for number in labels), run.output)


@dataclass(frozen=True, slots=True)
class Album:
    """A job's images on this machine's disk."""

    store: Store
    train: list[Example[Place, Classes]]
    valid: list[Example[Place, Classes]]
    classes: Classes
    several: bool = False

    @property
    def target(self) -> Callable[[Classes], Any]:
        """What makes a class's number of an example's label, or a 0 or 1 for each class."""
        if self.several:
            return partial(_each, self.classes)
        return partial(_number, {name: number for number, name in enumerate(self.classes)})


def _number(numbers: Mapping[str, int], label: Classes) -> int:
    return numbers[label[0]]


def _each(classes: Classes, label: Classes) -> list[float]:
    return [float(name in label) for name in classes]


def gathered(params: ImageParams, run: Run) -> Album:
    """Return the images of `run.data`. Raises `BadData` where there is nothing to tell apart."""
    splits, store = load_data(run.data), Store(run.work / "images.bin")
    data = read(splits["train"], params, splits["train"].first(params.max_samples), store.keep)
    valid = None
    if "valid" in splits:
        valid = read(splits["valid"], params, splits["valid"].rows, store.keep)
        _same_classes(data, valid)
    if len(data.used) < (1 if data.several else 2):
        raise BadData(
            f"{data.found.source} has no images of two classes: there is nothing to tell apart."
        )
    return Album(store, *divided(data, valid, params), data.classes, data.several)


def _same_classes(data: Classified[Any], valid: Classified[Any]) -> None:
    source = valid.found.source
    if valid.several != data.several:
        raise BadData(f"Of the training split and {source} only one has lists of classes.")
    if unknown := valid.used.difference(data.classes):
        raise BadData(
            f"{source} has classes that no training image is of: {', '.join(sorted(unknown))}.",
            fix="Give them training images, or take them out of the validation split.",
        )


def _trainer(
    params: ImageParams, run: Run, loaded: Loaded, processor: Any, album: Album
) -> Trainer:
    seed = params.seed if params.augment else None
    pictures = Pictures(album.store, album.train, album.target, processor, seed=seed)
    valid = Pictures(album.store, album.valid, album.target, processor)
    measured = several_labels if album.several else classification
    return trainer(params, run, loaded, pictures, valid, measured=measured)
