"""Text from models, data, people and providers, made harmless for a terminal.

An escape sequence can move the cursor, rewrite what stands above, fill the clipboard; a bidi
override makes `exe.txt` of `txt.exe`. What would act is shown instead; colours are dropped. An
output that has few characters, as pipes of Windows do, gets others that mean the same.
"""

from __future__ import annotations

import codecs
import io
import re
from typing import IO

_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_ACTS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # all controls but tab and line feed
    "\u2028\u2029"  # ends of lines that are none
    "\u202a-\u202e\u2066-\u2069"  # embeddings, overrides and isolates of bidirectional text
    "\ud800-\udfff"  # halves of characters, which no terminal can be sent
    "\U000e0000-\U000e007f]"  # invisible tags
)

_SPELLED = {"✓": "+", "✗": "x", "·": "-", "━": "-", "…": "...", "→": "->"}


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


def shows_all(out: IO[str]) -> bool:
    """Whether an output has every character."""
    return (getattr(out, "encoding", None) or "utf-8").lower().startswith("utf")


def spell_what_lacks(*outs: IO[str]) -> None:
    """Let outputs write the characters they lack in those they have, and refuse none."""
    codecs.register_error("spelled", _spelled)
    for out in outs:
        if isinstance(out, io.TextIOWrapper) and not shows_all(out):
            out.reconfigure(errors="spelled")


def _spelled(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_SPELLED.get(one) or ascii(one)[1:-1] for one in lacking), error.end
