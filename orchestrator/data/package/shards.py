"""The user's files become Parquet shards, named by what is in them.

The same files always give the same bytes: row groups and shards end by decoded size, the writer's
settings are fixed, and nothing of the clock or the machine is written. The name is a hash of the
shards, so a repo of that name that has them is the same data, whoever sent it and whenever.

All columns are kept, also those no setting names: another run, with other columns, then needs no
upload. Rows are not shuffled and none are held out; what trains does that, by its seed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from backends.base import OnProgress, silent
from orchestrator.data.sources import DataSource
from worker.common import Data
from worker.contract import DataRef
from worker.reading import Table

SHARD_BYTES = 32 << 20
"""Decoded bytes of a shard. Small, so that some can be encoded at once in bounded memory."""

ENCODERS = 3
"""Shards that are encoded at the same time, at most; reading keeps no more of them busy."""

GROUP_BYTES = 16 << 20
"""Decoded bytes of a row group."""

ZSTD_LEVEL = 1
"""Measured on text: half the size of level -1 at the same speed; level 3 takes twice as long."""


@dataclass(frozen=True, slots=True)
class Package:
    """Shards on this disk."""

    folder: Path
    digests: dict[str, str]
    """SHA-256 of each shard, by its path below `folder`."""

    train: tuple[str, ...]
    valid: tuple[str, ...]
    rows: int
    """Training rows."""

    stored_bytes: int
    """Bytes of the shards."""

    remote: DataRef | None = None
    """The Hub dataset to use in place, which needs no shards."""

    @property
    def content(self) -> str:
        """The name of the content: 64 hex digits, the same for the same shards."""
        lines = (f"{name} {digest}\n" for name, digest in sorted(self.digests.items()))
        return hashlib.sha256("".join(lines).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Shard:
    name: str
    digest: str
    rows: int
    size: int


def package(
    source: DataSource, params: Data, folder: Path, on_progress: OnProgress = silent
) -> Package:
    """Write the shards of `source` below `folder`, replacing what an earlier call left there.

    A dataset of the Hub is used where it is, and nothing is written; nor is it where there are no
    rows. Raises `BadData` for rows that cannot be read; a full disk is an `OSError`. Both leave no
    shards behind.
    """
    if not source.tables:
        return in_place(DataRef())
    if source.remote is not None:
        ref = source.remote
        return Package(folder, {}, ref.train, ref.valid, ref.rows or 0, 0, remote=ref)
    shutil.rmtree(folder / "data", ignore_errors=True)
    (folder / "data").mkdir(parents=True)
    try:
        return _packed(source, params, folder, on_progress)
    except BaseException:
        shutil.rmtree(folder / "data", ignore_errors=True)
        raise


def _packed(source: DataSource, params: Data, folder: Path, on_progress: OnProgress) -> Package:
    written: dict[str, list[_Shard]] = {}
    before, total = 0, max(1, source.stored_bytes)
    for role, table in source.tables.items():

        def progress(share: float, table: Table = table, before: int = before) -> None:
            on_progress("packaging", (before + share * table.stored_bytes) / total)

        limit = params.max_samples if role == "train" else None
        written[role] = table.settled(partial(_write, table, role, folder, limit, progress))
        before += table.stored_bytes
    on_progress("packaging", 1.0)
    shards = [shard for group in written.values() for shard in group]
    return Package(
        folder=folder,
        digests={shard.name: shard.digest for shard in shards},
        train=tuple(shard.name for shard in written["train"]),
        valid=tuple(shard.name for shard in written.get("valid", [])),
        rows=sum(shard.rows for shard in written["train"]),
        stored_bytes=sum(shard.size for shard in shards),
    )


def packed_before(ref: DataRef) -> Package:
    """Return the shards that an earlier job's data lies in on this machine, as a package."""
    folder, names = Path(str(ref.folder)), (*ref.train, *ref.valid)
    digests = {}
    for name in names:
        with (folder / name).open("rb") as stream:
            digests[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    size = sum((folder / name).stat().st_size for name in names)
    return Package(folder, digests, ref.train, ref.valid, ref.rows or 0, size)


def in_place(ref: DataRef) -> Package:
    """Return the data of an earlier job as what is used where it is."""
    return Package(Path(), {}, ref.train, ref.valid, ref.rows or 0, 0, remote=ref)


def local_ref(package: Package, store: Path) -> DataRef:
    """Return the reference for a job on this machine, the shards moved to a place of their own.

    That place, below `store`, is named by the content: jobs with the same data share it.
    """
    planned = planned_folder(package, store)
    if planned.folder is None:
        return planned
    home = Path(planned.folder)
    if not home.exists():
        store.mkdir(parents=True, exist_ok=True)
        arriving = Path(tempfile.mkdtemp(prefix=".arriving-", dir=store))
        shutil.copytree(package.folder / "data", arriving / "data")
        try:
            arriving.rename(home)
        except OSError:  # another process brought the same data first
            shutil.rmtree(arriving, ignore_errors=True)
            if not home.exists():
                raise
    return planned


def planned_folder(package: Package, store: Path) -> DataRef:
    """Return the reference as `local_ref` makes it, with nothing moved yet."""
    if package.remote is not None:
        return package.remote
    return DataRef(
        folder=str((store / package.content[:16]).resolve()),
        train=package.train,
        valid=package.valid,
        rows=package.rows,
    )


def _write(
    table: Table, role: str, folder: Path, limit: int | None, progress: Callable[[float], None]
) -> list[_Shard]:
    """Write one split; shards are encoded in threads while the next rows are read."""
    threads = min(ENCODERS, os.cpu_count() or 1)
    running: deque[Future[_Shard]] = deque()
    done: list[_Shard] = []
    schema = table.schema()
    with ThreadPoolExecutor(threads) as pool:
        for number, (batches, share) in enumerate(_shards(table, schema, limit)):
            name = f"data/{role}-{number:05}.parquet"
            running.append(pool.submit(_encode, batches, schema, folder, name))
            while len(running) >= threads:
                done.append(running.popleft().result())
            progress(share)
        return done + [future.result() for future in running]


def _shards(
    table: Table, schema: pa.Schema, limit: int | None
) -> Iterator[tuple[list[pa.RecordBatch], float]]:
    """Yield the batches of each shard with the share of the split that is read, 0 to 1."""
    held: list[pa.RecordBatch] = []
    held_bytes = read_bytes = 0
    for batch in _first(table.batches(schema), limit):
        held.append(batch)
        held_bytes += batch.nbytes
        read_bytes += batch.nbytes
        if held_bytes >= SHARD_BYTES:
            yield held, min(0.99, read_bytes / max(1, table.stored_bytes))
            held, held_bytes = [], 0
    if held:
        yield held, 1.0


def _first(batches: Iterator[pa.RecordBatch], limit: int | None) -> Iterator[pa.RecordBatch]:
    left = limit
    for batch in batches:
        taken = batch if left is None else batch.slice(0, left)
        if taken.num_rows:
            yield taken
        if left is not None:
            left -= taken.num_rows
            if left <= 0:
                return


def _encode(batches: list[pa.RecordBatch], schema: pa.Schema, folder: Path, name: str) -> _Shard:
    table = pa.Table.from_batches(batches, schema)
    batches.clear()
    path = folder / name
    rows_a_group = max(1, table.num_rows * GROUP_BYTES // max(1, table.nbytes))
    with pq.ParquetWriter(
        path,
        schema,
        version="2.6",
        data_page_version="1.0",
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        use_dictionary=False,
        write_statistics=False,
    ) as writer:
        writer.write_table(table, row_group_size=rows_a_group)
    pa.default_memory_pool().release_unused()
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return _Shard(name, digest, table.num_rows, path.stat().st_size)
