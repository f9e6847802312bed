"""Patterns of `.gitattributes` and `.gitignore`, as far as the Hub reads them."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=1024)
def _regex(pattern: str) -> re.Pattern[str]:
    anchored = "/" in pattern.strip("/")
    pattern = pattern.lstrip("/")
    parts = {"**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    tokens = re.split(r"(\*\*/|/\*\*$|\*\*|\*|\?)", pattern)
    body = "".join(parts.get(token, re.escape(token)) for token in tokens)
    return re.compile(("" if anchored else "(?:.*/)?") + body)


def matches(patterns: list[str], path: str) -> bool:
    """Return whether any pattern names a path; without a slash it names files in any folder."""
    return any(_regex(pattern).fullmatch(path) for pattern in patterns)


def lfs_patterns(gitattributes: str) -> list[str]:
    """Return the patterns that send files to LFS."""
    lines = (line.split() for line in gitattributes.splitlines())
    return [words[0] for words in lines if "filter=lfs" in words[1:]]


def ignored(gitignore: str, path: str) -> bool:
    """Return whether a `.gitignore` leaves a path out; the last pattern that names it decides."""
    answer = False
    parts = path.split("/")
    above = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
    for line in gitignore.splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        keeps = pattern.startswith("!")
        pattern = pattern.lstrip("!")
        candidates = above[:-1] if pattern.endswith("/") else above
        if any(matches([pattern.rstrip("/")], one) for one in candidates):
            answer = not keeps
    return answer
