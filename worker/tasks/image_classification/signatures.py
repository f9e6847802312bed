"""What kind of image some bytes are, told by how they begin and end. Light: no PIL.

The signatures are those of the formats' own specifications: JPEG (ITU T.81, B.1.1.3), PNG
(W3C PNG, 5.2), GIF89a, WebP (RFC 9649), BMP, TIFF 6.0, and the brands of ISO base media files.
"""

from __future__ import annotations

READABLE = frozenset({"JPEG", "PNG", "GIF", "WebP", "BMP", "TIFF", "AVIF"})
"""What Pillow opens as it is installed."""

_BEGINNINGS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
}
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC"}
_ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}
_TAIL = 4096
"""Bytes at the end in which an image's end is looked for: cameras append notes of their own."""


def kind_of(content: bytes) -> str | None:
    """Return `JPEG`, `PNG`, …; `HEIC`, which cannot be read here; none for no known image."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WebP"
    if content[4:8] == b"ftyp":
        return _BRANDS.get(content[8:12])
    return next((kind for start, kind in _BEGINNINGS.items() if content.startswith(start)), None)


def is_cut_short(content: bytes) -> bool:
    """Whether the end of a JPEG or PNG is missing; other formats are not judged."""
    end = _ENDS.get(kind_of(content) or "")
    return end is not None and end not in content[-_TAIL:]
