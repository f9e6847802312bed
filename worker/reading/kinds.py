"""What a file is that is not what its name says or cannot be read, and the command that helps.

Known by how files begin, and by the ends of their names. Standard library only.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath

from worker.errors import BadData

HEAD = 1 << 16
"""Bytes of the beginning that tell what a file is."""

DEEPEST = 500
"""Lists and objects of JSON within one another."""

_STRING = re.compile(rb'"[^"\\\n]*(?:\\.[^"\\\n]*)*"')
_NO_BRACKETS = bytes(set(range(256)) - {*b"[]{}\n"})
_DEEPER = dict.fromkeys(b"[{", 1) | dict.fromkeys(b"]}", -1)

_BEGINS: Mapping[bytes, tuple[str, str]] = {
    b"PAR1": ("Parquet", ".parquet"),
    b"\x1f\x8b": ("compressed with gzip", ".gz"),
    b"ARROW1": ("an Arrow file", ".arrow"),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", ".xls"),
    b"BZh": ("compressed with bzip2", ".bz2"),
    b"\xfd7zXZ": ("compressed with xz", ".xz"),
    b"\x28\xb5\x2f\xfd": ("compressed with zstd", ".zst"),
    b"7z\xbc\xaf": ("a 7z archive", ".7z"),
    b"Rar!": ("a RAR archive", ".rar"),
    b"SQLite format 3": ("an SQLite database", ".sqlite"),
    b"%PDF": ("a PDF", ".pdf"),
}
"""How a file begins, to what it is and how its name should end."""

_UNPACKED = {
    **dict.fromkeys((".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz"), "tar xf {}"),
    ".bz2": "bunzip2 -k {}",
    ".xz": "unxz -k {}",
    ".zst": "unzstd {}",
    ".7z": "7z x {}",
    ".rar": "unrar x {}",
    **dict.fromkeys((".xls", ".xlsb", ".ods"), "soffice --headless --convert-to xlsx {}"),
    **dict.fromkeys(
        (".arrow", ".feather"),
        'python -c "import pyarrow.feather as f, pyarrow.parquet as p; '
        "p.write_table(f.read_table('{}'), '{}.parquet')\"",
    ),
    ".txt": "python -c \"import json; [print(json.dumps({'text': line.strip()})) for line in "
    "open('{}', encoding='utf-8-sig') if line.strip()]\" > rows.jsonl",
    ".sqlite": "sqlite3 -header -csv {} 'select * from TABLE' > rows.csv",
}
"""How a name ends, to the command that makes of it what can be read."""

_HOPELESS = frozenset({".pdf"})
"""Kinds of files that no command makes rows of."""

_LFS = b"version https://git-lfs.github.com/"
_PAGES = (b"<!doctype html", b"<html")


def helps(name: str) -> str:
    """Return the command that makes of a file what can be read; empty where none is known."""
    lower = name.lower()
    ends = (end for end in sorted(_UNPACKED, key=len, reverse=True) if lower.endswith(end))
    command = _UNPACKED.get(next(ends, ""), "")
    return command.replace("{}", name if "'{}'" in command else shlex.quote(name))


def misnamed(name: str, kind: str, head: bytes) -> BadData | None:
    """Return that a file is of another kind than `kind`, which its name says; none if it is not.

    `head` is how it begins, decompressed where its name says that it is compressed.
    """
    bare = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if bare.startswith(_LFS):
        text = f"{name} is a Git LFS pointer: the file itself was not downloaded."
        return BadData(text, fix="git lfs pull")
    if bare[:16].lower().startswith(_PAGES):
        text = f"{name} is a web page: the page about a file, and not the file."
        return BadData(text, fix="Download it again, by the address of the raw file.")
    what, suffix = _is(head, bare, kind)
    if not what or suffix == f".{kind}":
        return None
    if suffix in _HOPELESS:
        return BadData(f"{name} is {what}.")
    called = _renamed(name, suffix)
    command = f"mv {shlex.quote(name)} {shlex.quote(called)}"
    unpack = helps(called)
    return BadData(f"{name} is {what}.", fix=f"{command} && {unpack}" if unpack else command)


def too_deep(name: str, kind: str, block: bytes) -> BadData | None:
    """Return that JSON nests deeper than readers bear, some of which crash; none if it does not.

    `block` is what a reader takes the columns' types from. A line of JSONL begins anew.
    """
    depth = 0
    for mark in _STRING.sub(b"", block).translate(None, _NO_BRACKETS):
        depth += _DEEPER.get(mark, -depth if kind == "jsonl" else 0)
        if depth > DEEPEST:
            return BadData(f"{name} nests more than {DEEPEST:,} deep.")
    return None


def _is(head: bytes, bare: bytes, kind: str) -> tuple[str, str]:
    """Return what a file is, and how its name should end; nothing where it is as it says."""
    if head.startswith(b"PK\x03\x04"):
        book = b"[Content_Types]" in head or b"xl/" in head
        return ("an Excel workbook", ".xlsx") if book else ("a zip", ".zip")
    known = next((found for mark, found in _BEGINS.items() if head.startswith(mark)), None)
    return known or ("", "") if known or b"\0" in head else _is_text(bare, kind)


def _is_text(bare: bytes, kind: str) -> tuple[str, str]:
    if kind not in {"json", "parquet"} and re.match(rb"\[\s*\{", bare):
        return "one JSON array", ".json"
    if kind in {"csv", "xlsx", "parquet"} and _is_object(bare):
        return "JSON lines", ".jsonl"
    if kind != "csv" and _is_table(bare):
        return "CSV", ".csv"
    return "", ""


def _is_object(bare: bytes) -> bool:
    """Whether the first line is an object of JSON, or its beginning where it is cut."""
    if not bare.startswith(b"{"):
        return False
    line, ended, _ = bare.partition(b"\n")
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return not ended and bare[1:].lstrip().startswith(b'"')


def _is_table(bare: bytes) -> bool:
    lines = bare.split(b"\n")[:2]
    if len(lines) < 2 or bare[:1] in b'{["':  # noqa: PLR2004
        return False
    return any(mark in lines[0] and mark in lines[1] for mark in (b",", b";", b"\t"))


def _renamed(name: str, suffix: str) -> str:
    if suffix == ".gz":
        return f"{name}.gz"
    return name.removesuffix(".gz").removesuffix(PurePosixPath(name.removesuffix(".gz")).suffix) + (
        suffix
    )
