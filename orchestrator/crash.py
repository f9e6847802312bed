"""What nobody foresaw: said in a sentence, and kept whole in a file for whoever mends it."""

from __future__ import annotations

import os
import traceback
from importlib.metadata import version
from pathlib import Path

from worker.errors import HubtrainError
from worker.home import home, make_private
from worker.redact import Redactor
from worker.shorten import shortened

FILE = "crash.txt"
"""The last such error, in the folder of records."""


def told(error: Exception) -> tuple[str, str]:
    """Return what is said of an error that is a mistake of this program, and what to do."""
    words = shortened(str(error).strip().partition("\n")[0])
    said = f"hubtrain itself made a mistake: {type(error).__name__}{f': {words}' if words else ''}"
    path = _kept(error)
    where = f"It is written down whole in {path}: report it with that file." if path else ""
    return said, where


def _kept(error: Exception) -> Path | None:
    """Write the error down, without secrets; none where nothing can be written."""
    lines = traceback.format_exception(error)
    text = Redactor(os.environ)("".join([f"hubtrain {version('hubtrain')}\n", *lines]))
    try:
        path = home() / FILE
        make_private(path.parent)
        path.write_text(text, "utf-8", "backslashreplace")
    except (HubtrainError, OSError):
        return None
    return path
