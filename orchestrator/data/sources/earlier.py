"""The examples of an earlier job, as they lie: a training goes on with the rows it began with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.data.sources.source import DataSource
from worker.contract import DataRef
from worker.errors import BadData
from worker.reading.files import DataFile, on_disk
from worker.reading.table import FileTable

if TYPE_CHECKING:
    from huggingface_hub import HfApi


def find_earlier(ref: DataRef, hub: HfApi | None) -> DataSource:
    """Return the examples at a reference. Raises `BadData` where they are not, `HubError`."""
    files = _on_hub(ref, hub) if ref.repo_id else _here(Path(str(ref.folder)), ref)
    name = ref.repo_id or "the data of the earlier job"
    tables = {
        role: FileTable(f"{name} ({role})", tuple(files[one] for one in names), ref.classes)
        for role, names in (("train", ref.train), ("valid", ref.valid))
        if names
    }
    return DataSource(name, tables, remote=ref)


def _here(folder: Path, ref: DataRef) -> dict[str, DataFile]:
    names = (*ref.train, *ref.valid)
    gone = [name for name in names if not (folder / name).is_file()]
    if gone:
        raise BadData(
            f"the examples of the earlier job are not on this machine: {folder / gone[0]}.",
            fix="Resume it where it ran, or run it anew.",
        )
    return {name: on_disk(folder / name, name) for name in names}


def _on_hub(ref: DataRef, hub: HfApi | None) -> dict[str, DataFile]:
    from orchestrator.data.sources.remote import files_of

    if hub is None:
        raise BadData(f"the examples are in {ref.repo_id}, and nobody is logged in.")
    return files_of(hub, str(ref.repo_id), ref.revision)[1]
