"""A job's pictures on this machine's disk, each split as its task reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from worker.engine import processes
from worker.errors import BadData
from worker.families.corpus import Divided
from worker.families.pictures.corpus import PictureCorpus, Read, gathered
from worker.families.pictures.examples import Examples
from worker.families.pictures.training.store import Store
from worker.reading import load as load_data
from worker.task import Run

D = TypeVar("D", bound=Examples[Any, Any])
P = TypeVar("P", bound=Divided)


@dataclass(frozen=True, slots=True)
class Album(Generic[D]):
    """Examples, and where the bytes of their images are."""

    store: Store
    corpus: PictureCorpus[D]


def album_of(
    params: P,
    run: Run,
    read: Read[P, D],
    held_out: Callable[[D, float], frozenset[int]] | None = None,
) -> Album[D]:
    """Return the pictures of `run.data`; `held_out` is that of `divided`. Raises `BadData`."""
    splits = load_data(run.data)
    store = Store(run.work / f"images{processes.rank() or ''}.bin")
    return Album(store, gathered(splits, params, read, store.keep, held_out))


def known(classes: Iterable[str], used: Iterable[str], source: str) -> None:
    """Raise `BadData` where the split `source`, which judges, uses other than these classes."""
    if unknown := set(used).difference(classes):
        raise BadData(
            f"{source} has classes that no training image is of: {', '.join(sorted(unknown))}.",
            fix="Give them training images, or take them out of the validation split.",
        )
