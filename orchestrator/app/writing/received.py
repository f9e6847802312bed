"""Files that gradio has received for a page, and where it keeps them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from worker.errors import BadData


def received(told: Mapping[str, Any]) -> tuple[str, Path]:
    """Return a file that gradio has received, under its owner's name; raises `BadData` for others.

    The browser says where it is, so that is not taken on trust.
    """
    path, root = Path(str(told.get("path", ""))).resolve(), received_in()
    if not path.is_relative_to(root) or not path.is_file():
        raise BadData("this is no file that was uploaded.")
    return str(told.get("name", path.name)), path


def received_in() -> Path:
    """Return the folder in which gradio keeps what it receives."""
    chosen = os.environ.get("GRADIO_TEMP_DIR") or Path(tempfile.gettempdir()) / "gradio"
    return Path(chosen).resolve()
