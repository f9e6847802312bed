"""Text from models, data, people and providers, made harmless for a terminal.

An escape sequence can move the cursor, rewrite what stands above, fill the clipboard; a bidi
override makes `exe.txt` of `txt.exe`. What would act is shown instead; colours are dropped.
"""

from __future__ import annotations

import re

_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_ACTS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # all controls but tab and line feed
    "\u2028\u2029"  # ends of lines that are none
    "\u202a-\u202e\u2066-\u2069"  # embeddings, overrides and isolates of bidirectional text
    "\ud800-\udfff"  # halves of characters, which no terminal can be sent
    "\U000e0000-\U000e007f]"  # invisible tags
)


def visible(text: str) -> str:
    """Return text that only shows: `\\x1b` where an escape character was."""
    if text.isascii() and text.isprintable():
        return text
    return _ACTS.sub(_shown, _COLOUR.sub("", text.replace("\r\n", "\n")))


def visible_json(text: str) -> str:
    """Return JSON that means the same and only shows. Strings keep every character, escaped."""
    return _ACTS.sub(_as_json, text)


def _shown(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape", "surrogatepass").decode()


def _as_json(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))
