"""A job's images as bytes on this machine's disk, and how one is opened."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageFile, ImageOps

from worker.errors import BadConfig, BadData
from worker.imagefile import READABLE

ImageFile.LOAD_TRUNCATED_IMAGES = True  # a photo that is cut short is shown as far as it goes

FORMATS = tuple(name.upper() for name in READABLE)
"""What is opened, by Pillow's names: it has more, and hands PostScript to another program."""

UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
"""What Pillow raises over bytes that are no image it can show."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image's bytes lie in the store."""

    start: int
    size: int


class Store:
    """The bytes of all images in one file: memory stays small however many there are."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._end = 0
        path.unlink(missing_ok=True)

    def keep(self, content: bytes) -> Place:
        """Write an image's bytes to the end of the file."""
        with self.path.open("ab") as file:
            file.write(content)
        place = Place(self._end, len(content))
        self._end += len(content)
        return place

    def bytes(self, place: Place) -> bytes:
        """Return an image's bytes."""
        with self.path.open("rb") as file:
            file.seek(place.start)
            return file.read(place.size)

    def image(self, place: Place, row: int) -> Image.Image:
        """Return the image of a row, as `pipeline` opens one. Raises `BadData`."""
        try:
            image = Image.open(io.BytesIO(self.bytes(place)), formats=FORMATS)
            return ImageOps.exif_transpose(image).convert("RGB")
        except UNREADABLE as error:
            raise BadData(
                f"The image of row {row} cannot be read: {error}", fix="Take it out."
            ) from error


def opened(file: str) -> Image.Image | BadConfig:
    """Return the image in a file, or why there is none."""
    if not Path(file).is_file():
        return BadConfig(f"There is no image {file}.", fix="--image FILE")
    try:
        with Image.open(file, formats=FORMATS) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except UNREADABLE as error:
        return BadConfig(
            f"{file} is no image that can be read: {error}",
            fix="--image with another file, or with a smaller copy of this one",
        )
