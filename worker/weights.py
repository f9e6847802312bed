"""The files of a model, fetched from the Hub: numbers and settings, and no program.

Weights are read from safetensors alone, since other formats can run what their maker likes; what is
trained may also have them in torch's own format, which is then read as numbers only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from worker.contract import ModelRef
from worker.hubclient import explained, hub

if TYPE_CHECKING:
    from huggingface_hub import HfApi

SAFE = (".safetensors", ".skops")
"""How files of models end that run nothing as they are loaded, or only what is trusted by name."""

DATA = ("*.safetensors", "*.skops", "*.json", "*.jinja", "*.txt", "*.model")
CODE = ("*.py",)

_FORMATS = (
    ("model.safetensors", "model.safetensors.index.json", "*.safetensors"),
    ("pytorch_model.bin", "pytorch_model.bin.index.json", "*.bin"),
)
"""Of each format, in the order in which libraries look for them: one file, what lists several, and
the pattern of all."""


_PART = re.compile(r"[1-9]\d*_\w+/(model\.safetensors|pytorch_model\.bin)")
"""Weights of a part of a model of sentences, as in `2_Dense/`, which are small."""


def fetch(
    model: ModelRef, token: str | None, folder: Path | None = None, *, trusted: bool = False
) -> Path:
    """Return the folder of a model's files: `folder`, or none for the cache of the Hub's library.

    Its code is among them only where it is `trusted`. Raises `HubError`.
    """
    wanted = (*DATA, *CODE) if trusted else DATA
    with explained(f"fetching {model.name}"):
        found = hub(token).snapshot_download(
            model.name, revision=model.revision, local_dir=folder, allow_patterns=list(wanted)
        )
    return Path(found)


def fetch_to_train(model: ModelRef, token: str | None, *, trusted: bool = False) -> None:
    """Bring what libraries load of a model into their cache: its weights in one format, once.

    Raises `HubError`.
    """
    api = hub(token)
    with explained(f"fetching {model.name}"):
        names = api.list_repo_files(model.name, revision=model.revision)
        read = (*(one for one in DATA if one != "*.safetensors"), *(CODE if trusted else ()))
        small = [name for name in names if any(fnmatch(name, one) for one in read)]
        wanted = [*small, *_weights(api, model, names), *filter(_PART.fullmatch, names)]
        api.snapshot_download(model.name, revision=model.revision, allow_patterns=wanted)


def _weights(api: HfApi, model: ModelRef, names: Collection[str]) -> Iterator[str]:
    """Yield the files of the weights that libraries load: those of the first format there is."""
    for whole, index, every in _FORMATS:
        if whole in names:
            yield whole
            return
        if index in names:
            listed = Path(api.hf_hub_download(model.name, index, revision=model.revision))
            yield from set(json.loads(listed.read_text("utf-8"))["weight_map"].values())
            return
        if found := [name for name in names if "/" not in name and fnmatch(name, every)]:
            yield from found
            return
