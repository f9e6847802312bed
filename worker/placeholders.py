"""Values that stand in documents for what a reader is to fill in, and were not filled in."""

from __future__ import annotations

import re

NO_TOKEN = "HF_TOKEN holds what stands for a token and is none: not used."
"""What is said of a placeholder in the place of the Hub token."""

_TOKEN = re.compile(
    r"(hf_)?(x{3,20}|\*{3,}|\.{3,}|…|<.*>)"
    r"|((the|your|my)[-_ ])?((hf|api|write)[-_ ])?token([-_ ]here)?",
    re.IGNORECASE,
)
_OWNER = re.compile(r"(your[-_ ]?)?(user[-_ ]?name|organi[sz]ation|org)", re.IGNORECASE)


def is_placeholder(token: str) -> bool:
    """Whether this stands for a Hub token and is none, as `hf_XXX` does."""
    return bool(_TOKEN.fullmatch(token.strip()))


def stands_for_a_repo(repo_id: str) -> bool:
    """Whether this stands for a repo and is none, as `username/repo_name` does."""
    return bool(_OWNER.fullmatch(repo_id.split("/", maxsplit=1)[0].strip("<>")))
