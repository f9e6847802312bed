"""Documents of `--json` held against what they are declared as."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from orchestrator.api.errors import Failure
from orchestrator.api.printed import PRINTED, TASK, of_command

FREE = dict[str, Any]
"""What is declared as whatever there is to say."""


def is_declared(words: Sequence[str], document: Any) -> None:
    """Assert that a command with these words may print a document, every key of it."""
    first = next((word for word in words if not word.startswith("-")), TASK)
    named = first if any(one.command == first for one in PRINTED) else TASK
    kinds = [Failure, *(one.document for one in of_command(named))]
    wrong = [why for kind in kinds if kind != FREE and (why := differs(kind, document))]
    free = FREE in kinds and isinstance(document, dict) and "exit_code" not in document
    shown = json.dumps(document)[:2000]
    fits = len(wrong) < sum(kind != FREE for kind in kinds)
    assert fits or free, "\n".join([f"{named} does not declare {shown}", *wrong])


def differs(kind: Any, document: Any) -> str:
    """Return why a document is none of a kind; empty if it is one."""
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    try:
        value = adapter.validate_json(json.dumps(document))
    except ValidationError as error:
        return f"{kind}: {error}"
    told = adapter.dump_python(value, mode="json", by_alias=True, exclude_unset=True)
    unknown = sorted(keys(document) - keys(told))
    return f"{kind}: it does not have {unknown}" if unknown else ""


def keys(document: Any, where: str = "") -> set[str]:
    """Return every key with those that lead to it."""
    if isinstance(document, dict):
        below = [keys(value, f"{where}.{key}") for key, value in document.items()]
        return {f"{where}.{key}" for key in document}.union(*below)
    if isinstance(document, list):
        return set().union(*(keys(one, f"{where}[]") for one in document))
    return set()
