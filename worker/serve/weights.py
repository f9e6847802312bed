"""The files of a deployed model, fetched at its commit.

An adapter is told where its base lies, so that from here on nobody has to ask the Hub.
"""

from __future__ import annotations

import json
from pathlib import Path

from worker import weights
from worker.contract import Deployment, ModelRef
from worker.errors import BadConfig

ADAPTER = "adapter_config.json"


def fetch(deployment: Deployment, token: str | None, folder: Path) -> Path:
    """Return the folder of the model's files, below `folder`. Raises `HubtrainError`."""
    trusted = bool(deployment.question.get("trust_remote_code"))
    model = _fetched(deployment.model, token, folder / "model", trusted=trusted)
    if deployment.base is not None:
        base = _fetched(deployment.base, token, folder / "base", trusted=trusted)
        config = json.loads((model / ADAPTER).read_text(encoding="utf-8"))
        config |= {"base_model_name_or_path": str(base), "revision": None}
        (model / ADAPTER).write_text(json.dumps(config), encoding="utf-8")
    return model


def _fetched(model: ModelRef, token: str | None, folder: Path, *, trusted: bool) -> Path:
    weights.fetch(model, token, folder, trusted=trusted)
    if not any(file.suffix in weights.SAFE for file in folder.iterdir()):
        raise BadConfig(f"{model.name} has no weights in safetensors, and others are not loaded.")
    return folder
