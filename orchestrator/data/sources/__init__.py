"""Where a user's examples are: a file, a folder, a zip or a dataset of the Hub, split by split.

Finds them and says what was decided; `worker.reading` reads them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.data.sources.local import find_local, is_file, is_local
from orchestrator.data.sources.source import DATA_PREFIX, NO_ROWS, DataSource
from worker.common import Data
from worker.errors import BadConfig, BadData

if TYPE_CHECKING:
    from huggingface_hub import HfApi

__all__ = ["DATA_PREFIX", "NO_ROWS", "DataSource", "find", "is_local"]


def find(params: Data, hub: HfApi | None, media: tuple[str, ...] = ()) -> DataSource:
    """Return the examples `params.data_path` names; `hub` is needed for datasets only.

    `media` are suffixes of files that are examples by themselves (`Task.media`).

    A validation split that is named as a file is that file. Raises `BadData`, `BadConfig`,
    `HubError`.
    """
    if not is_file(params.valid_split or ""):
        return _found(params, hub, media)
    train = _found(params.model_copy(update={"valid_split": None}), hub, media)
    if train.remote is not None:
        raise BadConfig(
            f"--valid-split {params.valid_split} is a file of this machine, and {train.name} is "
            "used where it is, on the Hub.",
            fix=f"--valid-split 0.05, or hf upload {train.name} {params.valid_split} "
            "--repo-type dataset",
        )
    alone = {"data_path": params.valid_split, "train_split": "train", "valid_split": None}
    valid = find_local(params.model_copy(update=alone), media)
    return replace(train, tables={**train.tables, "valid": valid.tables["train"]})


def _found(params: Data, hub: HfApi | None, media: tuple[str, ...]) -> DataSource:
    if is_local(params.data_path):
        return find_local(params, media)
    if hub is None:
        raise BadData(f"no file or folder {params.data_path}.")
    from orchestrator.data.sources.remote import find_remote

    return find_remote(params, hub, media)
