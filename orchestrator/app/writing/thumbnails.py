"""Small pictures of a stranger's images: what comes out is pixels alone, and costs little to make.

Only plain formats are opened, none of them larger than a camera's; what an image says of itself is
left behind. Needs Pillow, which gradio brings.
"""

from __future__ import annotations

import base64
from html import escape
from io import BytesIO
from typing import Any

from orchestrator.form.preview import Picture
from worker.imagefile import kind_of, size_of

SIDE = 144
"""Pixels of the longer side."""

OPENED = {"JPEG": "JPEG", "PNG": "PNG", "GIF": "GIF", "WebP": "WEBP", "BMP": "BMP"}
"""Formats that are opened, as Pillow calls them."""

MOST_BYTES = 24_000_000
MOST_PIXELS = 24_000_000
"""Of a larger image only the name is shown: it would take hundreds of megabytes to open."""

MOST_REGIONS = 40


def thumbnail(one: Picture) -> str:
    """Return an image as HTML, small, with what is marked on it; its name where that cannot be."""
    name = escape(one.name)
    found = _small(one.content)
    if found is None:
        return name
    uri, size = found
    return (
        f'<figure class="thumb"><div><img src="{uri}" alt="{name}">{_marks(one, size)}</div>'
        f"<figcaption>{name}</figcaption></figure>"
    )


def _small(content: bytes) -> tuple[str, tuple[int, int]] | None:
    """Return an image as a `data:` address, and its width and height as it is shown."""
    kind, size = kind_of(content), size_of(content)
    if kind not in OPENED or not size or len(content) > MOST_BYTES:
        return None
    if not 0 < size[0] * size[1] <= MOST_PIXELS:
        return None
    try:
        return _data(_opened(content, OPENED[kind])), size
    except Exception:  # Pillow raises whatever its formats do, and a preview is no place to say it
        return None


def _opened(content: bytes, kind: str) -> Any:
    from PIL import Image, ImageOps

    with Image.open(BytesIO(content), formats=[kind]) as image:
        if image.width * image.height > MOST_PIXELS:  # its header says it in two ways
            raise ValueError("it is larger than it seemed")
        image.draft("RGB", (2 * SIDE, 2 * SIDE))
        image.thumbnail((SIDE, SIDE))
        turned = ImageOps.exif_transpose(image).convert("RGBA")
    paper = Image.new("RGBA", turned.size, "white")
    return Image.alpha_composite(paper, turned).convert("RGB")


def _data(image: Any) -> str:
    made = BytesIO()
    image.save(made, "JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(made.getvalue()).decode()}"


def _marks(one: Picture, size: tuple[int, int]) -> str:
    """Return the boxes on an image of this width and height."""
    if not one.regions:
        return ""
    boxes = "".join(
        f'<rect x="{r.x:g}" y="{r.y:g}" width="{max(0.0, r.width):g}" '
        f'height="{max(0.0, r.height):g}"><title>{escape(r.name)}</title></rect>'
        for r in one.regions[:MOST_REGIONS]
    )
    named = ", ".join(dict.fromkeys(r.name for r in one.regions[:MOST_REGIONS]))
    return (
        f'<svg viewBox="0 0 {size[0]} {size[1]}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(named)}">{boxes}</svg>'
    )
