"""Variables that users give a program of theirs, whose values are secrets: `--env NAME=VALUE`.

The values go apart as soon as they are read: settings, and with them all that is written down, hold
the names alone. They travel in one variable, so that no name can take the place of one that the
machine itself needs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

VARIABLE = "HUBTRAIN_ENV"
"""The variable that carries them: what `--env` becomes on the laptop, and what the machine gets."""

_NEXT = re.compile(r";(?=\s*[A-Za-z_]\w*=)", re.ASCII)
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def pairs(said: object) -> dict[str, str | None]:
    """Return what was said by name; none as the value of a name alone, which is taken from here.

    One text may say several: a `;` that is followed by `NAME=` begins the next, every other one
    belongs to the value. Raises `ValueError`, in which no value is.
    """
    match said:
        case None:
            return {}
        case str():
            return _of_text(said.strip())
        case Mapping():
            return _named({str(k): None if v is None else str(v) for k, v in said.items()})
        case Iterable():
            return {k: v for one in said for k, v in pairs(one).items()}
        case _:
            raise ValueError(_WRONG)


def packed(values: Mapping[str, str]) -> str:
    """Return values as one variable carries them."""
    return json.dumps(values)


def unpacked(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the values that an environment carries; none where it carries nothing readable."""
    try:
        found = pairs(environ.get(VARIABLE))
    except ValueError:
        return {}
    return {name: value for name, value in found.items() if value is not None}


_WRONG = "write NAME=VALUE, or the NAME of a variable that is set here"


def _of_text(text: str) -> dict[str, str | None]:
    if text.startswith(("{", "[")):
        try:
            return pairs(json.loads(text))
        except json.JSONDecodeError:
            raise ValueError(_WRONG) from None
    if "=" not in text:
        return _named(dict.fromkeys(filter(None, re.split(r"[;,\s]+", text))))
    parts = (part.partition("=") for part in _NEXT.split(text))
    return _named({name.strip(): value if equals else None for name, equals, value in parts})


def _named(found: dict[str, str | None]) -> dict[str, str | None]:
    if not all(map(_NAME.fullmatch, found)):  # what stands there may be the secret itself
        raise ValueError(_WRONG)
    return found
