"""Whether an image is shown turned by a quarter: what its EXIF says, without PIL.

A camera stores what its sensor saw, and notes how it was held (Exif 2.32, tag 0x0112: 5 to 8 turn
an image by a quarter). Browsers, tools to annotate with, the libraries datasets and transformers
show it upright; so boxes and sizes are those of the upright image, here as there. Where the notes
lie: JPEG in APP1 (Exif 2.32, 4.7.2), PNG in `eXIf`, WebP in `EXIF` (RFC 9649), TIFF itself; AVIF
has a box `irot` (ISO 23008-12, 6.5.10). Where there is no EXIF, XMP's `tiff:Orientation` counts,
as it does for Pillow.
"""

from __future__ import annotations

import re
import struct

ORIENTATION = 0x0112
QUARTER_TURNS = frozenset({5, 6, 7, 8})

_XMP = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')
_HEADER = b"Exif\0\0"


def is_turned(content: bytes, kind: str | None) -> bool:
    """Whether an image of a kind (`worker.imagefile.kind_of`) has to be turned by a quarter."""
    if kind == "AVIF":
        at = content.partition(b"mdat")[0].find(b"irot")
        return at >= 0 and content[at + 4 : at + 5] in {b"\1", b"\3"}
    notes = _notes(content, kind)
    try:
        said = _orientation(notes) if notes else None
    except (struct.error, IndexError):  # cut short
        return False
    if said is None and (xmp := _XMP.search(content)):
        said = int(xmp[1])
    return said in QUARTER_TURNS


def _notes(content: bytes, kind: str | None) -> bytes:
    """Return the EXIF of an image, which is built as a TIFF; nothing where there is none."""
    if kind == "TIFF":
        return content
    mark = {"JPEG": _HEADER, "PNG": b"eXIf", "WebP": b"EXIF"}.get(kind or "", b"")
    at = content.find(mark)
    if not mark or at < 0:
        return b""
    start = at + len(mark) + (4 if kind == "WebP" else 0)  # behind the size of the chunk
    return content[start : start + 65_536].removeprefix(_HEADER)


def _orientation(notes: bytes) -> int | None:
    """Return the orientation in the first directory of a TIFF; none where it has none."""
    if not notes.startswith((b"II*\0", b"MM\0*")):
        return None
    order = "<" if notes.startswith(b"II") else ">"
    start = struct.unpack_from(f"{order}I", notes, 4)[0]
    for i in range(struct.unpack_from(f"{order}H", notes, start)[0]):
        tag, _, _, value = struct.unpack_from(f"{order}HHIH", notes, start + 2 + 12 * i)
        if tag == ORIENTATION:
            return int(value)
    return None
