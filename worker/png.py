"""Pictures drawn without a library: what a sample of images is made of."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

Colour = tuple[int, int, int]
"""Red, green and blue, from 0 to 255."""


def png(width: int, height: int, colour_at: Callable[[int, int], Colour]) -> bytes:
    """Return a PNG of so many pixels; `colour_at` tells the colour at x from left, y from top."""
    rows = (
        b"\0" + bytes(part for x in range(width) for part in colour_at(x, y)) for y in range(height)
    )
    eight_bits_rgb = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (b"IHDR", eight_bits_rgb), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    checked = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checked
