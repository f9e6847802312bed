"""Secrets kept out of every line that is kept, printed, served or pushed.

It knows secrets by the names of their environment variables and by the shape of Hub tokens; a
secret that reached a line in another way and shape goes through.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

HIDDEN = "[secret]"

_SECRET_NAME = re.compile(r"(^|_)(TOKEN|KEY|SECRET|PASSWORD|CREDENTIALS?)$", re.IGNORECASE)
_HUB_TOKEN = re.compile(r"\bhf_(?:oauth_|jwt_)?[A-Za-z0-9]{16,}")
_SHORTEST = 6
"""Shorter values are words like `true`, which would blot out ordinary text."""


class Redactor:
    """Replaces secrets in a text; call it with the text."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        values = {v for name, v in environ.items() if _SECRET_NAME.search(name)}
        spellings = values | {json.dumps(v)[1:-1] for v in values}
        # Longest first: a secret may begin with another.
        long = sorted((v for v in spellings if len(v) >= _SHORTEST), key=len, reverse=True)
        self._values = re.compile("|".join(map(re.escape, long))) if long else None

    def __call__(self, text: str) -> str:
        """Return `text` with every secret in it hidden."""
        if self._values:
            text = self._values.sub(HIDDEN, text)
        return _HUB_TOKEN.sub(HIDDEN, text) if "hf_" in text else text
