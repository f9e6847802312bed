"""Folders of models: fetched where they are on the Hub, and made whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker import weights
from worker.contract import ModelRef
from worker.errors import BadConfig, NotThere
from worker.paths import is_path


def fetched(model: str) -> Path:
    """Return the folder of a model: the one of that name here, else fetched from the Hub.

    Raises `HubtrainError`; `BadConfig` where there is no such model.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if is_path(model):
        raise BadConfig(f"no folder {model}.")
    try:
        return weights.fetch(ModelRef.named(model), os.environ.get("HF_TOKEN"))
    except NotThere as error:
        text = f"no job, folder or model is called {model}, or this token may not see it."
        raise BadConfig(text) from error


def named(model: str) -> str:
    """Return what a model is called, be it a folder here or one of the Hub."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder.resolve().name
    return ModelRef.named(model).name.rpartition("/")[2]


@contextmanager
def made(output: Path) -> Iterator[Path]:
    """Yield a new folder that is called `output` once all is well; else it is gone.

    What dies on the way leaves nothing that looks finished. Raises `BadConfig` where anything but
    an empty folder is there.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise BadConfig(f"{output} is already there.", fix="another --output-folder")
    output.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        yield making
        making.chmod(0o755)
        if output.exists():
            output.rmdir()
        making.rename(output)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise
