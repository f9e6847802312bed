"""Where a user's examples are: a file, a folder, a zip or a dataset of the Hub, split by split.

Finds them and says what was decided; `worker.reading` reads them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.data.sources.local import find_local, is_local
from orchestrator.data.sources.source import DataSource
from worker.common import Data
from worker.errors import BadData

if TYPE_CHECKING:
    from huggingface_hub import HfApi

__all__ = ["DataSource", "find", "is_local"]


def find(params: Data, hub: HfApi | None, media: tuple[str, ...] = ()) -> DataSource:
    """Return the examples `params.data_path` names; `hub` is needed for datasets only.

    `media` are suffixes of files that are examples by themselves (`Task.media`).

    Raises `BadData`, `BadConfig`, `HubError`.
    """
    if is_local(params.data_path):
        return find_local(params, media)
    if hub is None:
        raise BadData(f"no file or folder {params.data_path}.")
    from orchestrator.data.sources.remote import find_remote

    return find_remote(params, hub, media)
