"""How a process is started that outlives the one that starts it, and its terminal."""

from __future__ import annotations

import subprocess
import sys
from typing import Any


def detached() -> dict[str, Any]:
    """Return what `subprocess.Popen` is to be given."""
    if sys.platform == "win32":
        flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
        return {"creationflags": flags}
    return {"start_new_session": True}
