"""Imports of large libraries: what takes seconds is done without looking for garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Hold the garbage collector while modules are imported: they make objects and no garbage.

    A third of the time that importing transformers or gradio takes goes into looking for some.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
