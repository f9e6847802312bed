"""A job's images as bytes on this machine's disk, and how one is opened."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from worker.errors import BadConfig, BadData
from worker.families.pictures.training.photo import Photo
from worker.families.pictures.training.shrinking import Shrinking


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

    def photo(self, place: Place, row: int) -> Photo:
        """Return the image of a row, upright as `pipeline` opens it.

        This raises `BadData`, and so do its pixels when they are asked for.
        """

        def fault(error: Exception) -> BadData:
            return BadData(f"The image of row {row} cannot be read: {error}", fix="Take it out.")

        return Photo(io.BytesIO(self.bytes(place)), fault)


def opened(file: str, shrinking: Shrinking | None = None) -> Image.Image | BadConfig:
    """Return the image in a file, or why there is none; with `shrinking` as small as it will do."""
    if not Path(file).is_file():
        return BadConfig(f"There is no image {file}.", fix="--image FILE")

    def fault(error: Exception) -> BadConfig:
        return BadConfig(
            f"{file} is no image that can be read: {error}",
            fix="--image with another file, or with a smaller copy of this one",
        )

    try:
        with open(file, "rb") as stream:
            photo = Photo(stream, fault)
            return photo.pixels(shrinking.of(photo.size) if shrinking else 1)
    except OSError as error:
        return fault(error)
    except BadConfig as error:
        return error
