"""What training would make of the images, before anything is rented. Light: no torch, no PIL."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from worker.bars import by_class
from worker.families.balance import FEW, classes, counted, doubtful, validated
from worker.families.divided import not_validated, size
from worker.families.heads import new_head
from worker.families.pictures.corpus import PictureCorpus, gathered
from worker.families.pictures.findings import left_out, pixels
from worker.families.pictures.report import report
from worker.splits import Splits
from worker.task import DataReport, Finding, ModelFacts
from worker.tasks.image_classification.examples import Classified, held_out, read
from worker.tasks.image_classification.params import ImageParams


def inspect(params: ImageParams, splits: Splits, facts: ModelFacts) -> DataReport:
    """Return what training would make of the data. Raises `BadData`.

    `splits` may hold only the first rows of each split: counts are then scaled up to `total`.
    """
    corpus = gathered(splits, params, read, held_out=partial(held_out, seed=params.seed))
    data, valid = corpus.train, corpus.valid
    about = [
        _size(corpus, params),
        *_nothing_to_learn(data),
        *left_out(data, "a class"),
        *(left_out(valid, "a class") if valid else ()),
        *doubtful(data.counts, "images", corpus.scale),
        *_validated(corpus, params),
        *new_head(facts, len(data.classes)),
    ]
    bars = (by_class("Images by class", data.counts, corpus.scale),)
    return replace(report(corpus, params, about), classes=len(data.classes), bars=bars)


def _size(corpus: PictureCorpus[Classified[Any]], params: ImageParams) -> Finding:
    """How many images there are, of how many classes, how large, and what is held out."""
    data, counts = corpus.train, corpus.train.counts
    several = ", several for an image" if data.several else ""
    images, named = corpus.about(len(data.examples)), counted(counts, corpus.scale)
    told = f"{images} images in {classes(len(counts))}{several}: {named}"
    of = "" if data.several else "of each class"
    return size(corpus, params, told, *pixels(data), of=of)


def _nothing_to_learn(data: Classified[Any]) -> Iterable[Finding]:
    """Find that there are no images, or nothing to tell apart."""
    if not data.examples:
        yield Finding("error", "data", f"no row of {data.source} has an image and a class")
        return
    used = sorted(data.used)
    if not used:
        text = f'no image is of any class: the column "{data.target}" holds empty lists'
        yield Finding("error", "data", text, fix="--target-column with the column of the classes")
    elif data.several:
        return
    elif len(used) == 1:
        text = f'all images are of the class "{used[0]}": there is nothing to tell apart'
        yield Finding("error", "data", text, fix="--target-column, or a folder for each class")
    elif len(used) == len(data.examples) > FEW:
        text = f'each image has a class of its own in the column "{data.target}"'
        yield Finding("error", "data", text, fix="--target-column with the column of the classes")


def _validated(corpus: PictureCorpus[Classified[Any]], params: ImageParams) -> Iterable[Finding]:
    data, valid = corpus.train, corpus.valid
    if valid is None:
        yield from not_validated(corpus, params, "how often the model is right", "image")
    elif valid.several != data.several:
        lists = data.source if data.several else valid.source
        text = f"only {lists} has lists of classes: both splits need them, or neither"
        yield Finding("error", "data", text)
    else:
        whole = corpus.scale == 1
        yield from validated(data.used, valid.used, valid.source, "image", whole=whole)
