"""Whether bytes are an image, by their first and last ones: nothing is decoded on the laptop."""

from __future__ import annotations

STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\0", b"MM\0*")
"""What JPEG, PNG, GIF, BMP and TIFF begin with."""

BOXED = {b"WEBP", b"ftyp"}
"""What WebP, or AVIF and HEIC have a few bytes further on."""

SHOWN = 12
"""Bytes of a file that is no image that a message shows."""


def fault(data: bytes) -> str:
    """Return what is wrong with an image, to follow its name; empty if nothing is seen."""
    if not data:
        return "is empty"
    if not data.startswith(STARTS) and not {data[4:8], data[8:12]} & BOXED:
        return f"is no image (it begins with {_shown(data)})"
    return "is cut short" if _is_cut(data) else ""


def _is_cut(data: bytes) -> bool:
    """Whether the mark that ends a JPEG or PNG is missing; others may follow it."""
    if data.startswith(b"\xff\xd8"):
        pixels = data.find(b"\xff\xda")
        return pixels < 0 or data.find(b"\xff\xd9", pixels) < 0
    return data.startswith(b"\x89PNG") and b"IEND" not in data


def _shown(data: bytes) -> str:
    return repr(data[:SHOWN].decode("utf-8", errors="replace"))
