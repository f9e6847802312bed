"""What each command does, in a line, for the program's `--help`.

Read off the source and not off the modules: importing all of them would cost several times what
the rest of `--help` costs. A command says it in the docstring of its `COMMAND`, a task in the
`help` of its `TASK`.
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
        if isinstance(node, ast.Assign) and "TASK" in map(ast.unparse, node.targets):
            return _help(node.value)
    return ""


def _help(call: ast.expr) -> str:
    words = call.keywords if isinstance(call, ast.Call) else []
    given = (w.value for w in words if w.arg == "help" and isinstance(w.value, ast.Constant))
    return str(next(given, ast.Constant("")).value)
