"""What is wrong with a value, in plain words instead of the validator's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.settings.autotrain import SYNONYMS
from worker.nearest import hint, nearest
from worker.params import Setting

_LONGEST = 40
"""Letters of a value that are repeated; what is longer was no number anyway."""

_WORDS = {
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be {le} or less",
    "finite_number": "must be a finite number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be text",
}


def complaint(error: Mapping[str, Any], setting: Setting, spelled: str) -> str:
    """Return what is wrong, as a sentence. `error` is one of pydantic's, about `setting`."""
    if error["type"] == "missing":
        return f"{setting.flags[0]} is needed: {setting.help}"
    value = error["input"]
    said = f"{spelled} {_shown(value, setting)}"
    if str(value) in setting.not_yet:
        return f"{said} is not there yet; there are {', '.join(setting.choices)}."
    if setting.choices and error["type"] == "literal_error":
        near = hint(nearest(str(value), setting.choices, SYNONYMS))
        return f"{said}: is not one of {', '.join(setting.choices)}.{near}"
    words = _words(error)
    return f"{said}: {words}" if words.endswith("?") else f"{said}: {words}."


def _words(error: Mapping[str, Any]) -> str:
    words = _WORDS.get(error["type"])
    if words is None:
        return str(error["msg"]).removeprefix("Value error, ")
    return words.format(**{k: _number(v) for k, v in error.get("ctx", {}).items()})


def _number(bound: Any) -> str:
    whole = isinstance(bound, int | float) and bound == int(bound)
    return f"{int(bound):,}" if whole else f"{bound}"


def _shown(value: Any, setting: Setting) -> str:
    """Return a value as it was written; in quotes where one would not see where it ends."""
    text = str(value)
    if len(text) > _LONGEST:
        text = text[: _LONGEST - 1] + "…"
    number = setting.type in {int, float} and text and not any(c.isspace() for c in text)
    return text if number and text.isprintable() else repr(text)
