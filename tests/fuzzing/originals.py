"""Files as users have them, whole: what is damaged."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from tiny_llm import chats

Rows = Sequence[Mapping[str, Any]]

BOOK = Path(__file__).parent.parent / "golden" / "book.xlsx"

TEXTS = [{"text": f'row {i}, "quoted"\nand on'} for i in range(12)]
PAIRS = [{"prompt": f"p{i}", "chosen": "yes", "rejected": "nö"} for i in range(12)]
TABLE = [
    {"id": i, "zip": f"0{i}", "share": i / 3, "label": "ab"[i % 2], "day": "2020-01-01"}
    for i in range(30)
]


def as_csv(rows: Rows, delimiter: str = ",") -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_lines(rows: Rows) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def as_parquet(rows: Rows) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows)), file)
    return file.getvalue()


def as_zip(files: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def unzipped(content: bytes) -> dict[str, bytes]:
    archive = zipfile.ZipFile(io.BytesIO(content))
    return {name: archive.read(name) for name in archive.namelist()}


def image(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (32, 32), (10, 20, 30)).save(file, kind)
    return file.getvalue()


DATA: dict[str, bytes] = {
    "chats.jsonl": as_lines(chats(12)),
    "chats.parquet": as_parquet(chats(12)),
    "texts.jsonl": as_lines(TEXTS),
    "texts.csv": as_csv(TEXTS),
    "texts.jsonl.gz": gzip.compress(as_lines(TEXTS)),
    "texts.zip": as_zip({"train.csv": as_csv(TEXTS), "valid.csv": as_csv(TEXTS)}),
    "pairs.json": json.dumps(PAIRS).encode(),
    "pairs.tsv": as_csv(PAIRS, "\t"),
    "table.csv": as_csv(TABLE, ";"),
    "table.parquet": as_parquet(TABLE),
    "book.xlsx": BOOK.read_bytes(),
}
"""Files of rows, by name."""

IMAGES = {kind.lower(): image(kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")}
