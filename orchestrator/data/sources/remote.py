"""A dataset on the Hub: its splits, and its files read over the wire.

It is pinned by its commit and used where it is: what trains reads its files as the laptop does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from orchestrator.data.sources.media import is_media
from orchestrator.data.sources.source import DataSource, source_of
from worker.common import Data
from worker.contract import DataRef
from worker.errors import BadConfig, BadData
from worker.hubclient import explained
from worker.hubrepo import sizes_of
from worker.nearest import nearest
from worker.reading.classes import of_card
from worker.reading.files import DataFile, by_split, choose, is_data

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import DatasetInfo

WHOLE_BYTES = 64 << 20
"""Files up to this size are downloaded and kept in the Hub's cache; of larger ones, parts."""


def find_remote(params: Data, hub: HfApi, media: tuple[str, ...] = ()) -> DataSource:
    """Return the dataset `params.data_path`, pinned. Raises `NotThere`, `BadData`, `HubError`."""
    name = params.data_path
    info, files = files_of(hub, name)
    _refuse_loose_media(name, files, media)
    config, splits, notes = _of_configurations(params, info, files) or _declared_or_named(
        name, info, files
    )
    if not splits:
        raise BadData(
            f"dataset {name} holds no CSV, JSONL or Parquet files.",
            fix="Download it in one of these formats and give the file:  --data-path FILE",
        )
    card: Any = info.card_data or {}
    classes = of_card(card.get("dataset_info"), config)
    pinned = DataRef(repo_id=info.id, revision=info.sha, classes=classes)
    return source_of(name, splits, params, remote=pinned, notes=notes)


def files_of(
    hub: HfApi, name: str, revision: str | None = None
) -> tuple[DatasetInfo, dict[str, DataFile]]:
    """Return what the Hub says of a dataset, and its files by path. Raises `HubError`."""
    with explained(f"dataset {name}"):
        info = hub.dataset_info(name, revision=revision, files_metadata=True)
        sizes = sizes_of(info)
    return info, {path: _file(hub, info.id, str(info.sha), path, n) for path, n in sizes.items()}


def _refuse_loose_media(name: str, files: Mapping[str, DataFile], media: tuple[str, ...]) -> None:
    """Refuse a dataset whose examples are files of their own: each would be a request."""
    found = [f for f in files if is_media(f, media)]
    if found and not any(f.endswith(".parquet") for f in files):
        folder = name.rpartition("/")[2]
        raise BadData(
            f"dataset {name} holds {len(found):,} examples as files of their own, as {found[0]}, "
            "and not in Parquet.",
            fix=f"hf download {name} --repo-type dataset --local-dir {folder}, then "
            f"--data-path ./{folder}",
        )


def _file(hub: HfApi, repo: str, revision: str, name: str, size: int) -> DataFile:
    return DataFile(name, size, _opener(hub, repo, revision, name, size))


def _opener(
    hub: HfApi, repo: str, revision: str, name: str, size: int
) -> Callable[[], pa.NativeFile]:
    def whole() -> pa.NativeFile:
        with explained(f"reading {repo}/{name}"):
            path = hub.hf_hub_download(repo, name, repo_type="dataset", revision=revision)
        return pa.OSFile(path)

    def parts() -> pa.NativeFile:
        from huggingface_hub import HfFileSystem

        doing = f"reading {repo}/{name}"
        with explained(doing):
            files = HfFileSystem(endpoint=hub.endpoint, token=hub.token)
            opened = files.open(f"datasets/{repo}@{revision}/{name}", "rb")
        return pa.PythonFile(_Explained(opened, doing), mode="r")

    return whole if size <= WHOLE_BYTES else parts


class _Explained:
    """A file whose reads fail in our words."""

    def __init__(self, file: Any, doing: str) -> None:
        self._file = file
        self._doing = doing

    def read(self, size: int = -1) -> bytes:
        with explained(self._doing):
            return bytes(self._file.read(size))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _declared_or_named(
    name: str, info: DatasetInfo, files: Mapping[str, DataFile]
) -> tuple[str | None, dict[str, list[DataFile]], tuple[str, ...]]:
    """Return what `_splits` does; of a card that nobody can read, what the files are called."""
    try:
        return _splits(info, files)
    except (AttributeError, LookupError, TypeError, ValueError):
        note = f"the card of {name} says nothing of its splits that can be read: named by files"
        return None, by_split(f for f in files.values() if is_data(f.name)), (note,)


def _of_configurations(
    params: Data, info: DatasetInfo, files: Mapping[str, DataFile]
) -> tuple[str, dict[str, list[DataFile]], tuple[str, ...]] | None:
    """Return what `_splits` does where splits are named as in AutoTrain's files: `pair:train`.

    A split without a configuration is one of the first that is named. None where none is. Raises
    `BadConfig` for one that is not there.
    """
    asked = {"--train-split": params.train_split}
    if params.valid_split and params.valid_share is None:
        asked["--valid-split"] = params.valid_split
    first = next((one.partition(":")[0] for one in asked.values() if ":" in one), None)
    if first is None:
        return None
    configs = {c["config_name"]: c["data_files"] for c in _configurations(info)}
    splits = {}
    for flag, one in asked.items():
        wanted, split = one.split(":", 1) if ":" in one else (first, one)
        if wanted not in configs:
            there = f"it has: {', '.join(configs)}" if configs else "it has none"
            near = nearest(wanted, configs)
            raise BadConfig(
                f"no configuration {wanted!r} in {info.id}; {there}.",
                fix=f"{flag} {near}:{split}" if near else f"{flag} {split}",
            )
        group = _declared(configs[wanted], files)
        splits[one] = choose(group, split, flag, f"{info.id} ({wanted})")
    return first, splits, ()


def _configurations(info: DatasetInfo) -> list[Any]:
    """Return what the card of a dataset says of its configurations."""
    card: Any = info.card_data or {}  # read like a mapping
    return [c for c in card.get("configs") or [] if c.get("data_files")]


def _splits(
    info: DatasetInfo, files: Mapping[str, DataFile]
) -> tuple[str | None, dict[str, list[DataFile]], tuple[str, ...]]:
    """Return the main configuration's name, its splits, and what was decided."""
    configs = _configurations(info)
    if not configs:
        return None, by_split(f for f in files.values() if is_data(f.name)), ()
    chosen = next((c for c in configs if c.get("default")), None) or next(
        (c for c in configs if c["config_name"] == "default"), configs[0]
    )
    name = chosen["config_name"]
    others = [c["config_name"] for c in configs if c is not chosen]
    notes = (f"configuration {name!r}; also there: {', '.join(others[:6])}",) if others else ()
    return name, _declared(chosen["data_files"], files), notes


def _declared(declared: Any, files: Mapping[str, DataFile]) -> dict[str, list[DataFile]]:
    """Return the splits a card's `data_files` declares: a pattern, several, or some a split."""
    if isinstance(declared, str):
        declared = [declared]
    entries = [e if isinstance(e, dict) else {"split": "", "path": e} for e in declared]
    splits: dict[str, list[DataFile]] = {}
    for entry in entries:
        patterns = [entry["path"]] if isinstance(entry["path"], str) else entry["path"]
        splits.setdefault(entry["split"], []).extend(_matching(patterns, files))
    unnamed = splits.pop("", [])
    found = splits or by_split(unnamed)
    return {split: group for split, group in found.items() if group}


def _matching(patterns: Iterable[str], files: Mapping[str, DataFile]) -> list[DataFile]:
    return [
        file
        for pattern in patterns
        for name, file in sorted(files.items())
        if file.format and fnmatch(name, pattern.removeprefix("./").replace("**/", "*"))
    ]
