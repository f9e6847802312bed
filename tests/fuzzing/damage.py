"""How files and answers get damaged: bytes as disks and networks do it, trees by their values.

All chance comes from a `Random`, so that a number tells a case again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

PIECES: tuple[bytes, ...] = (
    *(b"\0", b"\xff", b"\xef\xbb\xbf", b"\r", b"\n\n", b"\t", b'"', b"'", b",", b";", b"\\", b"%"),
    *(b"\\ud800", "\u202e\U0001f600".encode(), b"\x1b[2J", b"<!doctype html><p>", b"NaN", b"null"),
    *(b"1e999", b"-" + b"9" * 400, b"[" * 3000, b'{"a":' * 600, b"x" * 70_000, b"${X}", b"&a [*a]"),
)
"""What is found in files where it has no business."""

ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 0.5, 2**63, 10**30, 1e308, float("nan"), float("inf")),
    *("", " ", "x" * 5000, "\ud800", "\0", "\x1b[2J", "../../etc", "1e999"),
    *([], {}, [[]], [None], {"": None}, [{"a": []}]),
)
"""Values that no field expects."""

CODECS = ("utf-16", "utf-16-le", "utf-32", "latin-1", "cp037")


def _flipped(content: bytes, chance: Random) -> bytes:
    if not content:
        return content
    at = chance.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :]


def _cut(content: bytes, chance: Random) -> bytes:
    return content[: chance.randint(0, len(content))]


def _inserted(content: bytes, chance: Random) -> bytes:
    at = chance.randint(0, len(content))
    return content[:at] + chance.choice(PIECES) + content[at:]


def _overwritten(content: bytes, chance: Random) -> bytes:
    at, piece = chance.randint(0, len(content)), chance.choice(PIECES)
    return content[:at] + piece + content[at + len(piece) :]


def _repeated(content: bytes, chance: Random) -> bytes:
    """A part of the file is lost, or there several times."""
    one, two = sorted(chance.randint(0, len(content)) for _ in range(2))
    return content[:one] + content[one:two] * chance.choice((0, 2, 40)) + content[two:]


def _encoded(content: bytes, chance: Random) -> bytes:
    return content.decode("utf-8", "replace").encode(chance.choice(CODECS), "replace")


DAMAGES: tuple[Callable[[bytes, Random], bytes], ...] = (
    _flipped,
    _cut,
    _inserted,
    _overwritten,
    _repeated,
    _encoded,
)


def damaged(content: bytes, chance: Random) -> bytes:
    """Return a file that lost some of itself, or got what is not its own."""
    for damage in chance.choices(DAMAGES, k=chance.randint(1, 3)):
        content = damage(content, chance)
    return content


def mangled(tree: Any, chance: Random) -> Any:
    """Return a JSON value of which some parts are lost, of another type, or too many."""
    for _ in range(chance.randint(1, 3)):
        tree = _mangled(tree, chance)
    return tree


def _mangled(tree: Any, chance: Random) -> Any:
    if not isinstance(tree, (dict, list)) or not tree or chance.random() < 0.1:
        return chance.choice(ODD)
    parts = dict(tree) if isinstance(tree, dict) else dict(enumerate(tree))
    key = chance.choice(list(parts))
    match chance.choice(("deeper", "deeper", "deeper", "lost", "twice", "nested")):
        case "lost":
            del parts[key]
        case "twice":
            parts[f"{key}_"] = parts[key]
        case "nested":
            parts[key] = _nested(parts[key])
        case _:
            parts[key] = _mangled(parts[key], chance)
    return parts if isinstance(tree, dict) else list(parts.values())


def _nested(value: Any) -> Any:
    for _ in range(300):
        value = [value]
    return value


def as_json(tree: Any) -> bytes:
    """Return a tree as programs write it that check nothing."""
    return json.dumps(tree).encode()
