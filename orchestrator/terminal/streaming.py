"""A text shown while it is being written: by the word on a terminal, by the line in a pipe.

What might still become a secret or an escape sequence is held back until it is whole: the letters
since the last white space. Both are of ASCII; Chinese goes out letter by letter.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_UNFINISHED_WORD = re.compile(r"[!-~\x1b\r\ud800-\udfff]*\Z")
_UNFINISHED_LINE = re.compile(r"[^\n]*\Z")


class Streamed:
    """Pieces of one text on their way to `write`, cleaned by `clean`."""

    def __init__(
        self, write: Callable[[str], None], clean: Callable[[str], str], *, terminal: bool
    ) -> None:
        self._write, self._clean = write, clean
        self._unfinished = _UNFINISHED_WORD if terminal else _UNFINISHED_LINE
        self._held = ""
        self.begun = False
        """Whether anything is written or held back."""

    def __call__(self, piece: str) -> None:
        """Take a piece, and write what is finished by it."""
        self.begun = True
        text = self._held + piece
        found = self._unfinished.search(text)
        whole = found.start() if found else len(text)
        self._held = text[whole:]
        self._put(text[:whole])

    def close(self) -> None:
        """Write what is left, and end the line."""
        self._put(self._held + "\n")
        self._held = ""

    def _put(self, text: str) -> None:
        if text:
            self._write(self._clean(text))
