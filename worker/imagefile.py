"""What some bytes are as an image, by headers, ends and checksums: nothing is decoded, without PIL.

The signatures and headers are those of the formats' own specifications: JPEG (ITU T.81, B.1.1.3 and
B.2.2), PNG (W3C PNG, 5.2 and 11.2.2), GIF89a (18), WebP (RFC 9649), BMP, TIFF 6.0 (section 2), and
the boxes of ISO base media files (AVIF: `ispe` of ISO 23008-12).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

from worker import exif

READABLE = frozenset({"JPEG", "PNG", "GIF", "WebP", "BMP", "TIFF", "AVIF"})
"""What Pillow opens as it is installed."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
"""How their files' names end."""

MOST_PIXELS = 178_956_970
"""Pixels above which Pillow opens no image, lest a small file fill the memory."""

SHOWN = 12
"""Bytes of a file that is no image that a message shows."""

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
_PIXELS, _END = 0xDA, b"\xff\xd9"
"""What begins the pixels of a JPEG, and what ends it: phones append films of their own."""


def kind_of(content: bytes) -> str | None:
    """Return `JPEG`, `PNG`, …; `HEIC`, which cannot be read here; none for no known image."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WebP"
    if content[4:8] == b"ftyp":
        return _BRANDS.get(content[8:12])
    return next((kind for start, kind in _BEGINNINGS.items() if content.startswith(start)), None)


def is_cut_short(content: bytes) -> bool:
    """Whether the end of a JPEG or PNG is missing; other formats are not judged."""
    match kind_of(content):
        case "JPEG":
            pixels = next((at for mark, at in _segments(content) if mark == _PIXELS), None)
            return pixels is None or content.find(_END, pixels) < 0
        case "PNG":
            return b"IEND" not in content
    return False


def too_large(content: bytes) -> str:
    """Return the size of an image that is too large to be opened, in words; else nothing."""
    width, height = size_of(content, turned=False) or (0, 0)  # there are as many either way
    return f"{width:,} x {height:,} pixels" if width * height > MOST_PIXELS else ""


def fault(content: bytes) -> str:
    """Return what is wrong with an image, to follow its name; empty if nothing is seen."""
    if not content:
        return "is empty"
    if kind_of(content) is None:
        shown = repr(content[:SHOWN].decode("utf-8", errors="replace"))
        return f"is no image (it begins with {shown})"
    if size := too_large(content):
        return f"is too large to be opened ({size}; at most {MOST_PIXELS / 1e6:,.0f} million)"
    if is_cut_short(content):
        return "is cut short"
    return "is damaged (its checksums do not match)" if is_damaged(content) else ""


def is_damaged(content: bytes) -> bool:
    """Whether the pixels of a PNG are not those that were written; other formats are not judged.

    They have no checksums, and what their decoders make of damaged pixels is a picture.
    """
    at = 8 if kind_of(content) == "PNG" else len(content)
    while at + 12 <= len(content):
        end = at + 8 + int.from_bytes(content[at : at + 4], "big")
        pixels = content[at + 4 : at + 8] == b"IDAT"
        if pixels and zlib.crc32(content[at + 4 : end]) != int.from_bytes(content[end : end + 4]):
            return True
        at = end + 4
    return False


def size_of(content: bytes, *, turned: bool | None = None) -> tuple[int, int] | None:
    """Return width and height of the image as it is shown; none where its header does not tell.

    `turned` is what `is_turned` says, by who knows: it may read the whole file.
    """
    read = _SIZES.get(kind_of(content) or "")
    try:
        size = read(content) if read else None
    except (struct.error, IndexError):  # the header itself is cut short
        return None
    if size and turned is None:
        turned = is_turned(content)
    return size[::-1] if size and turned else size


def is_turned(content: bytes) -> bool:
    """Whether the image is stored with its sides changed: its EXIF turns it (`worker.exif`)."""
    kind = kind_of(content)
    pixels = len(content)
    if kind == "JPEG":  # phones put more images behind the first
        pixels = next((at for mark, at in _segments(content) if mark == _PIXELS), pixels)
    return exif.is_turned(content[:pixels], kind)


def _jpeg(content: bytes) -> tuple[int, int] | None:
    """Look for the frame header, which comes before the pixels."""
    for mark, at in _segments(content):
        if 0xC0 <= mark <= 0xCF and mark not in {0xC4, 0xC8, 0xCC}:  # noqa: PLR2004
            height, width = struct.unpack_from(">HH", content, at + 5)
            return width, height
    return None


def _segments(content: bytes) -> Iterator[tuple[int, int]]:
    """Yield mark and place of the segments of a JPEG, up to where its pixels begin."""
    at, mark = 2, 0
    while mark != _PIXELS and content[at : at + 1] == b"\xff" and at + 4 <= len(content):
        mark = content[at + 1]
        if mark == 0xFF:  # noqa: PLR2004 (a filler)
            at += 1
            continue
        yield mark, at
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")


def _png(content: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", content, 16)
    return width, height


def _gif(content: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", content, 6)
    return width, height


def _bmp(content: bytes) -> tuple[int, int]:
    old = struct.unpack_from("<I", content, 14)[0] == 12  # noqa: PLR2004
    width, height = struct.unpack_from("<HH" if old else "<ii", content, 18)
    return abs(width), abs(height)


def _webp(content: bytes) -> tuple[int, int] | None:
    if content[12:16] == b"VP8X":
        sizes = content[24:27], content[27:30]
        width, height = (int.from_bytes(size, "little") + 1 for size in sizes)
        return width, height
    if content[12:16] == b"VP8L":
        bits = struct.unpack_from("<I", content, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", content, 26)
    return width & 0x3FFF, height & 0x3FFF


def _tiff(content: bytes) -> tuple[int, int] | None:
    """Return the tags 256 and 257 of the first directory."""
    order = "<" if content.startswith(b"II") else ">"
    start = struct.unpack_from(f"{order}I", content, 4)[0]
    found: dict[int, int] = {}
    for i in range(struct.unpack_from(f"{order}H", content, start)[0]):
        entry = start + 2 + 12 * i
        tag, kind = struct.unpack_from(f"{order}HH", content, entry)
        if tag in {256, 257}:
            number = f"{order}{'H' if kind == 3 else 'I'}"  # noqa: PLR2004
            found[tag] = struct.unpack_from(number, content, entry + 8)[0]
    return (found[256], found[257]) if len(found) == 2 else None  # noqa: PLR2004


def _avif(content: bytes) -> tuple[int, int] | None:
    """Return the largest of the sizes that boxes `ispe` state: there are small ones beside it."""
    sizes, at = [(0, 0)], content.find(b"ispe")
    while at >= 0:
        sizes.append(struct.unpack_from(">II", content, at + 8))
        at = content.find(b"ispe", at + 12)
    return max(sizes)


_SIZES: dict[str, Callable[[bytes], tuple[int, int] | None]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "GIF": _gif,
    "BMP": _bmp,
    "WebP": _webp,
    "TIFF": _tiff,
    "AVIF": _avif,
}
