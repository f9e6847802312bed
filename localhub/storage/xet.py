"""The two formats of Xet uploads: xorbs, which hold chunks of files, and shards, which say how
files are put together from them.

After the public specification of the Xet protocol (huggingface.co/docs/xet: xorb, shard, hashing).
Pure functions over bytes and open files; what a file's SHA-256 is decides whether all was right.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import lz4.frame

HEADER_SIZE = 48
ENTRY_SIZE = 48
VERSION = 2
END = b"\xff" * 32
"""Stands where the hash of another file would, after the last."""

VERIFIED = 1 << 31
DESCRIBED = 1 << 30
"""Flags of a file: a check for each of its parts follows, and its SHA-256."""

CHUNK_HEADER = 8
PLAIN, LZ4, GROUPED = range(3)
"""How a chunk is compressed: not, by LZ4, or by LZ4 with every fourth byte side by side."""


@dataclass(frozen=True, slots=True)
class Term:
    """A part of a file: the chunks `first` to `last`, the last not counted, of a xorb."""

    xorb: str
    size: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Described:
    """A file as a shard has it: by the name that Xet gives it, and its SHA-256 or nothing."""

    name: str
    sha256: str
    terms: tuple[Term, ...]

    @property
    def size(self) -> int:
        return sum(term.size for term in self.terms)


def name_of(raw: bytes) -> str:
    """Return a hash as addresses have it: each eight bytes turned around, in hex."""
    return "".join(raw[at : at + 8][::-1].hex() for at in range(0, 32, 8))


def read_shard(data: bytes) -> list[Described]:
    """Return the files of an uploaded shard. Raises `ValueError` for what is none."""
    try:
        return list(_files(data))
    except struct.error as error:
        raise ValueError("the shard ends too early") from error


def _files(data: bytes) -> Iterator[Described]:
    (version,) = struct.unpack_from("<Q", data, 32)
    if version != VERSION:
        raise ValueError(f"shards of version {version} are not known here")
    at = HEADER_SIZE
    while (head := data[at : at + 32]) != END:
        if len(head) < len(END):
            raise ValueError("the shard ends too early")
        flags, count = struct.unpack_from("<II", data, at + 32)
        at += ENTRY_SIZE
        terms = tuple(_term(data, at + ENTRY_SIZE * number) for number in range(count))
        at += ENTRY_SIZE * count * (2 if flags & VERIFIED else 1)
        if not flags & DESCRIBED:
            yield Described(name_of(head), "", terms)
            continue
        yield Described(name_of(head), name_of(data[at : at + 32]), terms)
        at += ENTRY_SIZE


def _term(data: bytes, at: int) -> Term:
    size, first, last = struct.unpack_from("<III", data, at + 36)
    return Term(name_of(data[at : at + 32]), size, first, last)


def chunks(xorb: IO[bytes], first: int, last: int) -> Iterator[bytes]:
    """Yield some chunks of a xorb, the last not counted. Raises `ValueError` for a broken one."""
    for number in range(last):
        head = xorb.read(CHUNK_HEADER)
        if len(head) < CHUNK_HEADER or head[0] != 0:
            raise ValueError(f"the xorb has no chunk {number}")
        stored = int.from_bytes(head[1:4], "little")
        size = int.from_bytes(head[5:8], "little")
        if number < first:
            xorb.seek(stored, 1)
            continue
        chunk = _opened(xorb.read(stored), head[4])
        if len(chunk) != size:
            raise ValueError(f"chunk {number} of the xorb is not as long as it says")
        yield chunk


def _opened(data: bytes, how: int) -> bytes:
    if how == PLAIN:
        return data
    if how not in (LZ4, GROUPED):
        raise ValueError(f"chunks compressed by scheme {how} are not known here")
    try:
        opened = bytes(lz4.frame.decompress(data))
    except RuntimeError as error:
        raise ValueError(f"a chunk cannot be opened: {error}") from error
    return opened if how == LZ4 else _ungrouped(opened)


def _ungrouped(data: bytes) -> bytes:
    """Return bytes that lie grouped by place, modulo four, in their order."""
    made, at = bytearray(len(data)), 0
    for place in range(4):
        count = len(range(place, len(data), 4))
        made[place::4] = data[at : at + count]
        at += count
    return bytes(made)
