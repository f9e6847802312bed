"""Rows out of CSV, JSONL, Parquet, gzip, folders, zips and Hub datasets, in bounded memory.

Knows neither tasks nor where rows go. To read another format, add its suffix in `files` and its
opener in `formats`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.data.reading.source import Source, find_local, is_local
from orchestrator.data.reading.table import Measured, Table
from worker.common import Data
from worker.errors import BadData

if TYPE_CHECKING:
    from huggingface_hub import HfApi

__all__ = ["Measured", "Source", "Table", "find", "is_local"]


def find(params: Data, hub: HfApi | None) -> Source:
    """Return the examples `params.data_path` names; `hub` is needed for datasets only.

    Raises `BadData`, `BadConfig`, `HubError`.
    """
    if is_local(params.data_path):
        return find_local(params)
    if hub is None:
        raise BadData(f"no file or folder {params.data_path}.")
    from orchestrator.data.reading.remote import find_remote

    return find_remote(params, hub)
