"""An image whose header has been read: its pixels are decoded as small as they will do.

Most of the time it takes to show a model a photo of 12 million points goes into points that it
never sees. A JPEG is stored in blocks of 8 x 8 points, of which a decoder can make 4 x 4, 2 x 2 or
1 x 1 straight away (ITU T.81, annex A; Pillow's `draft`). What is left has at least twice the
points a side that the model sees, so it is still the resizing that decides what becomes of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO

from PIL import Image, ImageFile, ImageOps

from worker.errors import HubtrainError
from worker.exif import ORIENTATION, QUARTER_TURNS
from worker.imagefile import READABLE

ImageFile.LOAD_TRUNCATED_IMAGES = True  # a photo that is cut short is shown as far as it goes

Size = tuple[int, int]
"""Width and height, in pixels."""

Part = tuple[float, float, float, float]
"""Left, top, right and bottom of a part of an image, in pixels of the whole image."""

FORMATS = tuple(name.upper() for name in READABLE)
"""What is opened, by Pillow's names: it has more, and hands PostScript to another program."""

UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
"""What Pillow raises over bytes that are no image it can show."""

SPARE = 2
"""How many times the points a side that are seen are decoded at least."""

SCALES = (8, 4, 2)
"""How many times smaller a side of a JPEG can be decoded."""


class Photo:
    """An image as it is shown, upright and in RGB: its size at once, its pixels when asked for."""

    def __init__(self, file: IO[bytes], fault: Callable[[Exception], HubtrainError]) -> None:
        """Read the header; where something cannot be read, here or later, raise its `fault`."""
        self._fault = fault
        try:
            self._image = Image.open(file, formats=FORMATS)
            turns = self._image.getexif().get(ORIENTATION) in QUARTER_TURNS
        except UNREADABLE as error:
            raise fault(error) from error
        stored = self._image.size
        upright = self._image.format == "TIFF"  # Pillow itself gives the size it is shown in
        self.size: Size = stored[::-1] if turns and not upright else stored

    def pixels(self, shrinking: float = 1) -> Image.Image:
        """Return the image; smaller, where its pixels will be made `shrinking` times fewer a side.

        To be asked once.
        """
        image = self._image
        scale = next((scale for scale in SCALES if shrinking >= SPARE * scale), 1)
        try:
            if scale > 1:
                image.draft(None, (max(1, image.width // scale), max(1, image.height // scale)))
            return ImageOps.exif_transpose(image).convert("RGB")
        except UNREADABLE as error:
            raise self._fault(error) from error

    def place(self, part: Part, image: Image.Image) -> Part:
        """Return where a part of this lies on the `image` that was made of it."""
        across, down = image.width / self.size[0], image.height / self.size[1]
        left, top, right, bottom = part
        return left * across, top * down, right * across, bottom * down
