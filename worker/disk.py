"""What this machine's disk refused, and what to do about it. Knows no task."""

from __future__ import annotations

import errno
from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def refused(error: OSError) -> tuple[str, str]:
    """Return what was refused, and what to do about it; nothing where there is no advice."""
    full = error.errno in _FULL
    what = "the disk is full" if full else error.strerror or str(error)
    where = f": {error.filename}" if error.filename else ""
    fix = "Make room, then run the same command again." if full else ""
    if not full and error.filename and _of_the_hubs_cache(Path(str(error.filename))):
        fix = "Models are kept there; HF_HOME=FOLDER names another place, which may be written."
    return f"{what}{where}.", fix


def _of_the_hubs_cache(path: Path) -> bool:
    """Whether a path is of the folder that the Hub's client keeps files in, or one above it."""
    from huggingface_hub.constants import HF_HUB_CACHE

    cache = Path(HF_HUB_CACHE)
    return path == cache or path in cache.parents or cache in path.parents
