"""The files of a deployed model, fetched at its commit: numbers and settings, and no program.

Weights are read from safetensors alone, since other formats can run what their maker likes. An
adapter is told where its base lies, so that from here on nobody has to ask the Hub.
"""

from __future__ import annotations

import json
from pathlib import Path

from worker.contract import Deployment, ModelRef
from worker.errors import BadConfig
from worker.hubclient import explained, hub

DATA = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")
CODE = ("*.py",)
ADAPTER = "adapter_config.json"


def fetch(deployment: Deployment, token: str | None, folder: Path) -> Path:
    """Return the folder of the model's files, below `folder`. Raises `HubtrainError`."""
    wanted = (*DATA, *CODE) if deployment.question.get("trust_remote_code") else DATA
    model = _fetched(deployment.model, token, folder / "model", wanted)
    if deployment.base is not None:
        base = _fetched(deployment.base, token, folder / "base", wanted)
        config = json.loads((model / ADAPTER).read_text(encoding="utf-8"))
        config |= {"base_model_name_or_path": str(base), "revision": None}
        (model / ADAPTER).write_text(json.dumps(config), encoding="utf-8")
    return model


def _fetched(model: ModelRef, token: str | None, folder: Path, wanted: tuple[str, ...]) -> Path:
    with explained(f"fetching {model.name}"):
        hub(token).snapshot_download(
            model.name, revision=model.revision, local_dir=folder, allow_patterns=list(wanted)
        )
    if not any(folder.glob("*.safetensors")):
        raise BadConfig(f"{model.name} has no weights in safetensors, and others are not loaded.")
    return folder
