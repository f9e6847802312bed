"""Real data that comes with Python: what functions do and are called, and names of characters."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
import unicodedata
import warnings
from collections.abc import Iterator
from typing import Any

LEFT_OUT = re.compile(r"(^|\.)(_|test|tests|idlelib|lib2to3|antigravity|this|turtle|tkinter)")


def documented() -> list[dict[str, str]]:
    """Return what each documented function of the standard library does, and its name in words.

    What it does is the first sentence of its documentation; what is called alike is there once.
    """
    found: dict[str, str] = {}
    for name in sorted(sys.stdlib_module_names):
        for module in _modules(name):
            for called, thing in inspect.getmembers(module, callable):
                _add(found, f"{module.__name__}.{called}", thing)
                if inspect.isclass(thing):
                    for method, one in inspect.getmembers(thing, callable):
                        _add(found, f"{called}.{method}", one)
    return [{"query": said, "answer": words} for words, said in found.items()]


def _modules(name: str) -> Iterator[Any]:
    if LEFT_OUT.search(name):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            module = importlib.import_module(name)
        except ImportError:  # of another system
            return
        yield module
        for one in pkgutil.iter_modules(getattr(module, "__path__", [])):
            yield from _modules(f"{name}.{one.name}") if one.name != "__main__" else ()


def _add(found: dict[str, str], name: str, thing: Any) -> None:
    said = (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ")
    first = re.split(r"(?<=[a-z])\. ", said)[0]
    words = " ".join(re.sub(r"([a-z])([A-Z])", r"\1 \2", name).replace("_", " ").split(".")).lower()
    plain = len(first.split()) > 3 and "->" not in first and not LEFT_OUT.search(name)
    if plain and first not in found.values():
        found.setdefault(" ".join(words.split()), first.lower())


def characters() -> list[dict[str, str]]:
    """Return the names of characters that are made of others, and the names of those."""
    rows = []
    for code in range(0x20, 0x30000):
        parts = unicodedata.normalize("NFD", chr(code))
        name = unicodedata.name(chr(code), "")
        if len(parts) > 1 and name and not 0xAC00 <= code < 0xD7A4:  # not the 11,172 of Hangul
            names = (unicodedata.name(part, "").lower() for part in parts)
            rows.append({"text": name.lower(), "target": ", ".join(names)})
    return rows
