"""The examples of an earlier job, as they lie, for one that goes on with it or does it again."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.data.sources.source import DataSource
from worker.contract import DataRef
from worker.errors import BadData, HubError, NotThere
from worker.hubclient import explained
from worker.reading.files import DataFile, on_disk
from worker.reading.table import FileTable

if TYPE_CHECKING:
    from huggingface_hub import HfApi


def find_earlier(ref: DataRef, hub: HfApi | None, *, resumes: bool) -> DataSource:
    """Return the examples at a reference. Raises `BadData` where they are not, `HubError`.

    `resumes`: whether a training goes on, which takes no other rows.
    """
    fix = (
        "Resume it where it ran, or run it anew." if resumes else "--data-path FILE, the same rows"
    )
    files = _on_hub(ref, hub, fix) if ref.repo_id else _here(Path(str(ref.folder)), ref, fix)
    name = ref.repo_id or "the data of the earlier job"
    if gone := [one for one in (*ref.train, *ref.valid) if one not in files]:
        raise BadData(f"{gone[0]}, examples of the earlier job, is not in {name}.", fix=fix)
    tables = {
        role: FileTable(f"{name} ({role})", tuple(files[one] for one in names), ref.classes)
        for role, names in (("train", ref.train), ("valid", ref.valid))
        if names
    }
    return DataSource(name, tables, remote=ref)


def _here(folder: Path, ref: DataRef, fix: str) -> dict[str, DataFile]:
    names = (*ref.train, *ref.valid)
    gone = [name for name in names if not (folder / name).is_file()]
    if gone:
        said = f"the examples of the earlier job are not on this machine: {folder / gone[0]}."
        raise BadData(said, fix=fix)
    return {name: on_disk(folder / name, name) for name in names}


def _on_hub(ref: DataRef, hub: HfApi | None, fix: str) -> dict[str, DataFile]:
    from orchestrator.data.sources.remote import files_of

    if hub is None:
        text = f"the examples are in {ref.repo_id}, and nobody is logged in."
        raise BadData(text, fix="hf auth login")
    repo_id = str(ref.repo_id)
    try:
        return files_of(hub, repo_id, ref.revision)[1]
    except NotThere as error:
        said = (
            f"{repo_id} has no longer the commit {str(ref.revision)[:12]}, at which its examples "
            "were read"
            if _is_there(hub, repo_id)
            else f"the examples were in {repo_id}, a dataset that is not there any more or is "
            "private, and not to be seen with this token"
        )
        raise BadData(f"{said}.", fix=fix) from error


def _is_there(hub: HfApi, repo_id: str) -> bool:
    with suppress(HubError), explained(f"looking for {repo_id}"):
        return bool(hub.dataset_info(repo_id).id)
    return False
