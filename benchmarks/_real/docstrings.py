"""How six packages describe their functions and classes: texts of a machine with the extras."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from benchmarks._real.packaged import Split, divided

PACKAGES = ("networkx", "numpy", "pandas", "scipy", "sklearn", "torch")
EACH = 700
SHORTEST, LONGEST = 40, 400
"""Letters of a text."""


def docstrings() -> Split:
    """Return first paragraphs of docstrings, and which package each is of."""
    found = {
        text: package
        for package in PACKAGES
        for text in list(dict.fromkeys(_first_paragraphs(package)))[:EACH]
    }
    return divided([{"text": text, "label": package} for text, package in found.items()])


def _first_paragraphs(package: str) -> Iterator[str]:
    """Yield how the functions and classes of a package describe themselves, its name left out."""
    spec = find_spec(package)
    folder = Path(str((spec and spec.origin) or "")).parent
    for file in sorted(folder.rglob("*.py")):
        if "test" in str(file.relative_to(folder)):
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8", errors="replace"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                said = (ast.get_docstring(node) or "").split("\n\n")[0]
                text = re.sub(rf"(?i){package}|\s+", " ", said).strip()
                if SHORTEST <= len(text) <= LONGEST:
                    yield text
