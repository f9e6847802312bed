"""The files of a model, fetched from the Hub: numbers and settings, and no program.

Weights are read from safetensors alone, since other formats can run what their maker likes.
"""

from __future__ import annotations

from pathlib import Path

from worker.contract import ModelRef
from worker.hubclient import explained, hub

DATA = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")
CODE = ("*.py",)


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
