"""What training would make of the images, before anything is rented. Light: no torch, no PIL."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from worker.bars import by_number
from worker.families.divided import how_many, not_validated, size
from worker.families.numbers import spread, summed_up
from worker.families.pictures.corpus import PictureCorpus, gathered
from worker.families.pictures.findings import left_out, pixels
from worker.families.pictures.report import report
from worker.splits import Splits
from worker.task import DataReport, Finding
from worker.tasks.image_regression.examples import Scored, read
from worker.tasks.image_regression.params import ImageRegressionParams


def inspect(params: ImageRegressionParams, splits: Splits) -> DataReport:
    """Return what training would make of the data. Raises `BadData`.

    `splits` may hold only the first rows of each split: counts are then scaled up to `total`.
    """
    corpus = gathered(splits, params, read)
    data, valid = corpus.train, corpus.valid
    about = [
        _size(corpus, params),
        *_numbers(data),
        *left_out(data, "a number"),
        *(left_out(valid, "a number") if valid else _unjudged(corpus, params)),
    ]
    bars = (by_number("Images by number", data.numbers, corpus.scale),)
    return replace(report(corpus, params, about), bars=bars)


def _size(corpus: PictureCorpus[Scored[Any]], params: ImageRegressionParams) -> Finding:
    """How many images there are, how large, what their numbers are, and what is held out."""
    data = corpus.train
    numbers = [f'"{data.target}" {summed_up(data.numbers)}'] if data.numbers else []
    return size(corpus, params, how_many(corpus, "images"), *numbers, *pixels(data))


def _numbers(data: Scored[Any]) -> Iterable[Finding]:
    if not data.numbers:
        yield Finding("error", "data", f"no row of {data.source} has an image and a number")
    yield from spread(data.numbers, data.target, data.declared, "hubtrain image-classification")


def _unjudged(
    corpus: PictureCorpus[Scored[Any]], params: ImageRegressionParams
) -> Iterable[Finding]:
    return not_validated(corpus, params, "how far off the model is", "image")
