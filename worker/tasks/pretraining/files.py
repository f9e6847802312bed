"""The settings that JSON files give: `config/lora_config.json`, `config/galore_config.json`.

A file of the user's wins over the one that comes with hubtrain, and a flag over both. What a file
says becomes the settings that flags set, so that the file itself need not go to the rented machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from worker.nearest import hint, nearest


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file."""

    default: str
    """Where it is looked for where nobody says."""

    names: Mapping[str, str]
    """Its keys, and what the settings are called here."""

    fixed: Mapping[str, tuple[Any, ...]]
    """Keys of which only these values are there."""


LORA = Kind(
    "config/lora_config.json",
    {
        "r": "lora_r",
        "lora_alpha": "lora_alpha",
        "lora_dropout": "lora_dropout",
        "target_modules": "target_modules",
        "use_dora": "use_dora",
        "use_rslora": "use_rslora",
        "init_lora_weights": "init_lora_weights",
    },
    {
        "bias": ("none",),
        "inference_mode": (False,),
        "peft_type": ("LORA",),
        "task_type": ("CAUSAL_LM", None),
    },
)
"""Keys as in peft's `LoraConfig`."""

GALORE = Kind(
    "config/galore_config.json",
    {
        "rank": "optim_rank",
        "update_proj_gap": "update_proj_gap",
        "scale": "optim_scale",
        "target_modules": "optim_target_modules",
    },
    {"proj_type": ("std",)},
)
"""Keys as in the groups of `GaLoreAdamW`."""


def settings_in(kind: Kind, path: str) -> dict[str, Any]:
    """Return the settings that a file gives. Raises `ValueError` with what is wrong with it."""
    stated = _stated(kind, path)
    if not isinstance(stated, dict):
        # What a validator of settings raises is a ValueError.
        raise ValueError(  # noqa: TRY004
            f'{path} must be a JSON object, as in {{"{next(iter(kind.names))}": 8}}'
        )
    return {
        kind.names[key]: _plain(key, value)
        for key, value in stated.items()
        if _known(kind, path, key, value)
    }


def _stated(kind: Kind, path: str) -> Any:
    file = Path(path).expanduser()
    if file.is_file():
        text = file.read_bytes()
    elif path == kind.default:
        text = (files(__package__) / path).read_bytes()
    else:
        raise ValueError(f"there is no file {path}; without it, hubtrain's own values are taken")
    try:
        return json.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error


def _known(kind: Kind, path: str, key: str, value: Any) -> bool:
    """Whether a key is a setting; raises `ValueError` if it is nothing at all."""
    if key in kind.names:
        return True
    if key not in kind.fixed:
        near = hint(nearest(key, kind.names)) or f" It may have {', '.join(kind.names)}."
        raise ValueError(f"{path}: no key {key!r}.{near}")
    if value not in kind.fixed[key]:
        only = ", ".join(json.dumps(one) for one in kind.fixed[key])
        raise ValueError(f"{path}: {key} may only be {only}")
    return False


def _plain(key: str, value: Any) -> Any:
    """Return a value as flags give it: lists with commas; peft's own beginning is `default`."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "default" if key == "init_lora_weights" and value is True else value
