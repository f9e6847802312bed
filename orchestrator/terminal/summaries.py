"""What each command does, in a line, for the program's `--help`.

Read off the source and not off the modules: importing all of them would cost several times what
the rest of `--help` costs. A command says it in the docstring of its `COMMAND`, a task in the
`help` of its class.
"""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path


def summary(module: str) -> str:
    """Return what the command of this module, or the task, does; empty where it does not say."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return ""
    for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == "COMMAND":
            return ast.get_docstring(node) or ""
        if isinstance(node, ast.ClassDef) and (said := _help(node)):
            return said
    return ""


def _help(task: ast.ClassDef) -> str:
    """Return the `help` that a class gives; empty where it gives none as a plain string."""
    for node in task.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "help":
            return str(node.value.value) if isinstance(node.value, ast.Constant) else ""
    return ""
