"""What to type where packages of hubtrain are missing on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

PACKAGE = "hubtrain"
PINS = Path("space_template", "constraints.txt")
"""In a clone: the versions that are known to go together."""


def install(extras: Iterable[str], origin: str | None = None) -> str:
    """Return the command that installs these extras of the hubtrain that is running.

    `origin` is what pip noted of where it came from (`direct_url.json`, PEP 610), by default what
    it noted here: a clone and other addresses are named, an index needs the name alone.
    """
    wanted = f"[{','.join(extras)}]"
    noted = json.loads(origin or _noted() or "{}")
    address = str(noted.get("url", ""))
    if not address:
        return f'pip install "{PACKAGE}{wanted}"'
    if "dir_info" not in noted:
        kind = f"{noted['vcs_info']['vcs']}+" if "vcs_info" in noted else ""
        return f'pip install "{PACKAGE}{wanted} @ {kind}{address}"'
    folder = Path(url2pathname(urlsplit(address).path))
    editable = "-e " if noted["dir_info"].get("editable") else ""
    pins = f' -c "{folder / PINS}"' if (folder / PINS).is_file() else ""
    return f'pip install {editable}"{folder}{wanted}"{pins}'


def _noted() -> str | None:
    try:
        return metadata.distribution(PACKAGE).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None
