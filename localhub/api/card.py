"""What a README's front matter says of its repo."""

from __future__ import annotations

import datetime
import re
from typing import Any

import yaml

FRONT_MATTER = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)(?:\r?\n)?---[ \t]*(?:\r?\n|\Z)", re.DOTALL)


def front_matter(text: str) -> dict[str, Any]:
    """Return the metadata at the head of a README; YAMLError or TypeError if it is none."""
    found = FRONT_MATTER.match(text)
    data = yaml.safe_load(found[1]) if found else None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise TypeError("the metadata should be a mapping")
    return {str(key): _plain(value) for key, value in data.items()}


def _plain(value: Any) -> Any:
    """Return a YAML value as JSON has it."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, datetime.date):
        return value.isoformat()
    return value
