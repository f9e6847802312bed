"""A JSON file that somebody else wrote and that should hold an object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from worker.errors import BadConfig


def object_in(path: Path, called: str) -> dict[str, Any]:
    """Return the object a file holds. Raises `BadConfig`, which names it as it is `called`."""
    try:
        return as_object(path.read_bytes(), called)
    except OSError as error:
        raise BadConfig(f"{called} cannot be read: {error.strerror or error}.") from error


def as_object(content: bytes, called: str) -> dict[str, Any]:
    """Return the object that is written in `content`. Raises `BadConfig`."""
    try:
        found = json.loads(content.decode("utf-8-sig"))
    except RecursionError as error:
        raise BadConfig(f"{called} nests too deep.") from error
    except UnicodeDecodeError as error:
        raise BadConfig(f"{called} is not UTF-8: byte {error.start} is none of a text.") from error
    except ValueError as error:
        raise BadConfig(f"{called} is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise BadConfig(f"{called} holds no object: it should begin with {{ and not be a list.")
    return found
