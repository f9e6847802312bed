"""The key of the app on this machine: who has it is its user.

It is kept beside the records, so that an address in a bookmark opens the app again, and so that
programs of this user find it.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from worker.errors import HubtrainError
from worker.home import home, make_private

KEY_FILE = "app.key"


def key() -> str:
    """Return the key; a new one where there is none yet. Raises `HubtrainError`."""
    path = home() / KEY_FILE
    try:
        make_private(path.parent)
        return _read(path) or _made(path)
    except (OSError, ValueError) as error:
        raise HubtrainError(
            f"cannot keep the app's key in {path}: {getattr(error, 'strerror', None) or error}.",
            fix="Make room there, or set HUBTRAIN_HOME to another folder.",
        ) from error


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii").strip() if path.is_file() else ""


def _made(path: Path) -> str:
    """Write down a new key; of two programs that do so at once, both use the same."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    made = secrets.token_urlsafe(24)
    with open(os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        file.write(made + "\n")
    try:
        os.link(new, path)
    except FileExistsError:
        return _read(path) or made
    except OSError:  # a file system without links
        new.replace(path)
        return made
    finally:
        new.unlink(missing_ok=True)
    return made
