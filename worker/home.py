"""Where hubtrain keeps what it keeps on a machine: records, runs, packed data."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """Return the folder: `$HUBTRAIN_HOME`, or the user's data folder. It may not exist yet."""
    if chosen := os.environ.get("HUBTRAIN_HOME"):
        return Path(chosen).absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("hubtrain", appauthor=False))
