"""Escapes untrusted names and values in Markdown, so that they are shown as text, not as markup.

A model, a data set or a metric may be called `<img onerror=…>`, or `| x |`. Light.
"""

from __future__ import annotations

import html
import re

_MARKUP = re.compile(r"([\\`*\[\]|~])")


def text(value: object) -> str:
    """Return a value for running text, a heading, or a cell of a table."""
    return _MARKUP.sub(r"\\\1", html.escape(_one_line(value), quote=False))


def code(value: object) -> str:
    """Return a value as a code span, which a cell of a table may hold."""
    return f"`{_one_line(value).replace('`', chr(39)).replace('|', chr(92) + '|')}`"


def block(value: str) -> str:
    """Return a text as a code block that it cannot end."""
    longest = max((len(run) for run in re.findall("`+", value)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{value}\n{fence}"


def _one_line(value: object) -> str:
    return " ".join(str(value).split())


FILTERS = {"md": text, "code": code, "block": block}
"""The same for templates, by the names they use there."""
