"""Trains an image classifier: rows to images, images to steps, the result to a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    EvalPrediction,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from worker.engine import devices
from worker.engine.adapter import adapt
from worker.engine.arguments import trainer_parts
from worker.engine.fit import begin, finish, fit
from worker.engine.model import Loaded, load
from worker.engine.phases import phase
from worker.engine.source import Source
from worker.errors import BadData
from worker.families.training.measures import classification
from worker.reading import load as load_data
from worker.task import Run
from worker.tasks.image_classification.examples import Example, divided, read
from worker.tasks.image_classification.params import ImageParams
from worker.tasks.image_classification.training.pictures import Pictures, Place, Store, collate

MOST_READERS = 4
"""Processes that open images while a GPU computes."""


def train(params: ImageParams, run: Run) -> None:
    """Train `run.model` on `run.data` and leave the result in `run.output`.

    Returns early, with a checkpoint written, once `run.stop` is set. Raises `HubtrainError`, and
    whatever torch raises when memory runs out.
    """
    begin(params)
    source = Source(run.base, AutoModelForImageClassification, params.trust_remote_code)
    with phase(run.emit, "reading data"):
        processor = source.processor(AutoImageProcessor, backend="pil")
        album = gathered(params, run)
    with phase(run.emit, "loading model"):
        loaded = classifier(source, params, album.classes)
    trainer = _trainer(params, run, loaded, processor, album)
    if fit(trainer, params, run, unit="images"):
        finish(loaded, params, run, processor.save_pretrained)


@dataclass(frozen=True, slots=True)
class Album:
    """A job's images on this machine's disk."""

    store: Store
    train: list[Example[Place]]
    valid: list[Example[Place]]
    classes: tuple[str, ...]


def gathered(params: ImageParams, run: Run) -> Album:
    """Return the images of `run.data`. Raises `BadData` where there is nothing to tell apart."""
    splits, store = load_data(run.data), Store(run.work / "images.bin")
    rows = splits["train"].first(params.max_samples)
    found = read(splits["train"], params, rows, store.keep)
    valid = None
    if "valid" in splits:
        valid = read(splits["valid"], params, splits["valid"].rows, store.keep)
        if unknown := {e.label for e in valid.examples}.difference(found.classes):
            raise BadData(
                f"{valid.source} has classes that no training image is of: "
                f"{', '.join(sorted(unknown))}.",
                fix="Give them training images, or take them out of the validation split.",
            )
    if len({example.label for example in found.examples}) < 2:  # noqa: PLR2004
        raise BadData(
            f"{found.source} has no images of two classes: there is nothing to tell apart."
        )
    return Album(store, *divided(found, valid, params), found.classes)


def classifier(source: Source, params: ImageParams, classes: tuple[str, ...]) -> Loaded:
    """Return the model with a head for `classes`, and an adapter where one is asked for."""
    labels = {
        "id2label": dict(enumerate(classes)),
        "label2id": {name: number for number, name in enumerate(classes)},
        "ignore_mismatched_sizes": True,
    }
    loaded = load(replace(source, more=labels), params)
    head = [name for name, _ in loaded.model.named_children() if "classif" in name]
    return adapt(loaded, params, None, modules_to_save=head)


def _trainer(
    params: ImageParams, run: Run, loaded: Loaded, processor: Any, album: Album
) -> Trainer:
    seed = params.seed if params.augment else None
    pictures = Pictures(album.store, album.train, album.classes, processor, seed=seed)
    valid = Pictures(album.store, album.valid, album.classes, processor)
    more: dict[str, Any] = {"label_names": ["labels"], "dataloader_num_workers": _readers()}
    return Trainer(
        **trainer_parts(params, run, loaded, pictures, valid, **more),
        data_collator=collate,
        compute_metrics=_measured,
        callbacks=[Epochs(pictures)],
    )


class Epochs(TrainerCallback):  # type: ignore[misc]
    """Tells the images which epoch begins; accelerate's loaders forget to after a resume."""

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Note the epoch; after a resume one is begun in its middle."""
        self.pictures.epoch = int((state.epoch or 0) + 1e-6)


def _readers() -> int:
    """Return how many processes open images; none where the cores have the model to compute."""
    return min(MOST_READERS, (os.cpu_count() or 1) - 1) if devices.device() == "cuda" else 0


def _measured(seen: EvalPrediction) -> dict[str, float]:
    logits = seen.predictions[0] if isinstance(seen.predictions, tuple) else seen.predictions
    return classification(logits, seen.label_ids)
