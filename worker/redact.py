"""Secrets kept out of every line that is kept, printed, served or pushed.

It knows secrets by the names of their environment variables, by their place in an address, by the
shape of Hub tokens, and as what was given to a program of the user's (`worker.secret_variables`);
any other secret is not found. Give it whole texts: part of a secret is not recognised.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, unquote

from worker import secret_variables

HIDDEN = "[secret]"

_SECRET_NAME = re.compile(
    r"(^|_)(TOKENS?|KEYS?|PASS|PAT|CREDENTIALS?|DSN)$"
    r"|_PWD$|PASSWORD|PASSWD|PASSPHRASE|SECRET|API_?KEY"
    r"|DATABASE_URL|DB_URL|CONNECTION_STRING",
    re.IGNORECASE,
)
_HUB_TOKEN = re.compile(r"\bhf_(?:oauth_|jwt_)?[A-Za-z0-9]{16,}")
_IN_ADDRESS = re.compile(r"(://[^\s/:@]*):([^\s/@]+)@")
_SHORTEST = 6
"""Shorter values are words like `true`, which would blot out ordinary text."""

_SHORTEST_LINE = 8
_TRIVIAL = {"default", "disabled", "enabled", "localhost", "optional", "required", "undefined"}


class Redactor:
    """Replaces secrets in a text; call it with the text."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        spellings = {s for secret in _secrets(environ) for s in _spellings(secret)}
        # Longest first, because one secret may be the beginning of another.
        ordered = sorted(spellings, key=len, reverse=True)
        self._values = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def __call__(self, text: str) -> str:
        """Return `text` with every secret in it hidden."""
        if self._values:
            text = self._values.sub(HIDDEN, text)
        if "://" in text:
            text = _IN_ADDRESS.sub(rf"\1:{HIDDEN}@", text)
        return _HUB_TOKEN.sub(HIDDEN, text) if "hf_" in text else text


def _secrets(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the secrets of an environment; one of several lines also line by line."""
    for name, value in environ.items():
        if _SECRET_NAME.search(name):
            yield from _of_lines(value)
        for found in _IN_ADDRESS.finditer(value):
            yield from _telling(found[2], _SHORTEST)
            yield from _telling(unquote(found[2]), _SHORTEST)
    for value in secret_variables.unpacked(environ).values():
        yield from _of_lines(value)


def _of_lines(value: str) -> Iterator[str]:
    """Yield a secret, and each of its lines where it has several."""
    yield from _telling(value, _SHORTEST)
    if len(lines := value.splitlines()) > 1:
        yield from (s for line in lines for s in _telling(line, _SHORTEST_LINE))


def _telling(value: str, shortest: int) -> Iterator[str]:
    """Yield a value without the white space around it, unless it is a word anybody might print."""
    bare = value.strip()
    if len(bare) >= shortest and bare.lower() not in _TRIVIAL:
        yield bare


def _spellings(secret: str) -> set[str]:
    """Return how a secret may stand in a text: bare, in JSON, in an address."""
    in_json = {json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    return {secret, quote(secret, safe=""), *in_json}
