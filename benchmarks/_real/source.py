"""Data that every Python has: its standard library's source, and Unicode's names of letters."""

from __future__ import annotations

import ast
import io
import keyword
import re
import sys
import sysconfig
import tokenize
import unicodedata
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks._real.packaged import Rows, Split, divided

MODULES, ALL_MODULES = 60, 200
ROW_TOKENS = 40
SHORTEST, LONGEST = 15, 200
"""Letters of what a function is said to do."""

ROWS = 4000
"""Rows that are learned from at most, and half as many to judge by."""


def tags() -> Split:
    """Return tokens of Python's source, and the part that each plays."""
    return _of_modules(_tagged)


def questions() -> Split:
    """Return questions of functions, to their signature and docstring."""
    return _of_modules(_questions)


def functions() -> Split:
    """Return what functions are said to do, and the words of their names and parameters."""
    return _of_modules(_described, ALL_MODULES)


def letters() -> Split:
    """Return names of letters and signs, and those of the parts that they are put together from."""
    found = []
    for sign in map(chr, range(sys.maxunicode)):
        name, parts = unicodedata.name(sign, ""), unicodedata.normalize("NFD", sign)
        named = [unicodedata.name(part, "") for part in parts]
        if len(parts) > 1 and name and all(named) and not name.startswith("HANGUL"):
            found.append({"text": name.lower(), "target": ", ".join(named).lower()})
    return divided(found)


def _of_modules(
    rows_of: Callable[[str], Iterator[dict[str, Any]]], modules: int = MODULES
) -> Split:
    """Return rows of two thirds of the modules, and of the others."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    files = sorted(folder.glob("[a-z]*.py"))[:modules]
    sources = [file.read_text("utf-8", errors="replace") for file in files]
    parts: tuple[Rows, Rows] = ([], [])
    for number, source in enumerate(sources):
        parts[number % 3 == 2].extend(rows_of(source))
    return list(islice(parts[0], ROWS)), list(islice(parts[1], ROWS // 2))


def _tagged(source: str) -> Iterator[dict[str, Any]]:
    """Yield the tokens of a module, some at a time."""
    read = [t for t in _tokens(source) if t.string.strip() and t.type != tokenize.COMMENT]
    edges = [None, *read, None]
    pairs = [
        (token.string.split("\n")[0][:40], _part(before, token, behind))
        for before, token, behind in zip(edges, read, edges[2:], strict=False)
    ]
    for start in range(0, len(pairs), ROW_TOKENS):
        words, parts = zip(*pairs[start : start + ROW_TOKENS], strict=True)
        yield {"tokens": list(words), "tags": list(parts)}


def _tokens(source: str) -> list[tokenize.TokenInfo]:
    try:
        return list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        return []


def _part(before: Any, token: Any, behind: Any) -> str:
    """Return what a token is; a name is told by its neighbours."""
    if token.type != tokenize.NAME:
        return tokenize.tok_name[token.type].lower()
    if keyword.iskeyword(token.string):
        return "keyword"
    was, will = (one.string if one else "" for one in (before, behind))
    if was in {"def", "class"}:
        return was
    if was == ".":
        return "method" if will == "(" else "attribute"
    return {"(": "call", "=": "assigned"}.get(will, "name")


def _questions(source: str) -> Iterator[dict[str, Any]]:
    """Yield questions of a module's functions: name, parameters, purpose and what they return."""
    for found in ast.walk(ast.parse(source)):
        told = ast.get_docstring(found) if isinstance(found, ast.FunctionDef) else None
        if isinstance(found, ast.FunctionDef) and told:
            yield from _asked(found.name, ast.unparse(found.args), told)


def _asked(name: str, parameters: str, told: str) -> Iterator[dict[str, Any]]:
    told = " ".join(told.split())[:300]
    context = f"{name} ( {parameters} ) {told}"
    purpose = re.match(r"[^.]{5,150}", told)
    returns = re.search(r"\b[Rr]eturns? ([^.,;]{3,80})", told)
    begins = context.index(told)
    answers = {
        "what is it called": (name, 0),
        "what does it take": (parameters, len(name) + 3),
        "what does it do": (purpose[0], begins) if purpose else ("", 0),
        "what does it return": (returns[1], begins + returns.start(1)) if returns else ("", 0),
    }
    for question, (text, start) in answers.items():
        said = {"text": [text] if text else [], "answer_start": [start] if text else []}
        yield {"context": context, "question": f"{question} ?", "answers": said}


def _described(source: str) -> Iterator[dict[str, Any]]:
    """Yield the purposes of a module's functions, and their names and parameters as words."""
    for found in ast.walk(ast.parse(source)):
        told = ast.get_docstring(found) if isinstance(found, ast.FunctionDef) else None
        if isinstance(found, ast.FunctionDef) and told:
            purpose = " ".join(told.split("\n\n")[0].split())
            words = re.sub(r"[_\W]+", " ", f"{found.name} {ast.unparse(found.args)}").strip()
            if SHORTEST <= len(purpose) <= LONGEST:
                yield {"query": purpose, "answer": words[:100]}
