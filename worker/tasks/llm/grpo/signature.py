"""What a Python file of reward functions defines, read and not executed.

A function is called as TRL calls it: all by name, `prompts`, `completions`, `completion_ids`, the
columns of the data, and a few more. So it has to take whatever it does not use, by `**kwargs`.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.errors import BadConfig
from worker.nearest import nearest
from worker.shorten import some
from worker.tasks.llm.grpo.sources import File

COMPLETIONS = "completions"
GIVEN = frozenset(
    {"prompts", COMPLETIONS, "completion_ids", "trainer_state", "log_extra", "log_metric"}
)
"""What every function is handed, whatever columns there are."""

LARGEST = 1 << 20
"""Bytes of a file that is read."""


@dataclass(frozen=True, slots=True)
class Function:
    """A reward function of a file."""

    file: str
    name: str
    columns: tuple[str, ...] = ()
    """What it cannot do without and is not given anyway: columns of the data."""


def functions(file: File) -> list[Function]:
    """Return the functions that a file is named for. Raises `BadConfig`."""
    path = Path(file.path).expanduser()
    tree = _parsed(path, file.name)
    defined = {
        one.name: one
        for one in tree.body
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    _refuse_beside(tree, path, file.name)
    if file.function is None:
        public = [n for n, one in defined.items() if n[0] != "_" and COMPLETIONS in _names(one)]
        if not public:
            text = f"{file.name} has no public function that takes {COMPLETIONS}"
            raise BadConfig(text, fix=f"def length({COMPLETIONS}, **kwargs): …")
        return [_checked(defined[name], file.name) for name in public]
    if file.function in defined:
        return [_checked(defined[file.function], file.name)]
    if file.function in set(_bound(tree)):  # made by a call or imported: it shows when it runs
        return [Function(file.name, file.function)]
    raise _no_function(file, defined)


def _parsed(path: Path, name: str) -> ast.Module:
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except OSError as error:
        raise BadConfig(f"cannot read {path}: {error.strerror}") from error
    if len(content) > LARGEST:
        raise BadConfig(f"{name} is larger than {LARGEST >> 20} MB; that is no file of functions")
    try:
        return ast.parse(content, name)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f" line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        raise BadConfig(f"{name}{line} is not Python: {said}") from error


def _checked(one: ast.FunctionDef | ast.AsyncFunctionDef, file: str) -> Function:
    """Return a function that can be called. Raises `BadConfig`."""
    where = f"{file}:{one.name} (line {one.lineno})"
    if isinstance(one, ast.AsyncFunctionDef):
        raise BadConfig(
            f"{where} is async, and is called as a plain function", fix="def, not async"
        )
    if positional := [arg.arg for arg in one.args.posonlyargs]:
        text = f"{where} takes {', '.join(positional)} by place, and all are handed by name"
        raise BadConfig(text, fix=f"def {one.name}({COMPLETIONS}, **kwargs)")
    if one.args.kwarg is None:
        text = f"{where} takes no **kwargs, and is handed prompts and all columns as well"
        raise BadConfig(text, fix=f"def {one.name}({', '.join([*_names(one), '**kwargs'])})")
    needed = (name for name in _names(one, required=True) if name not in GIVEN)
    return Function(file, one.name, tuple(needed))


def _names(one: ast.FunctionDef | ast.AsyncFunctionDef, *, required: bool = False) -> list[str]:
    """Return what a function takes by name; those alone that have no default if `required`."""
    plain, keyword = one.args.args, one.args.kwonlyargs
    if not required:
        return [arg.arg for arg in (*plain, *keyword)]
    first = plain[: len(plain) - len(one.args.defaults)]
    pairs = zip(keyword, one.args.kw_defaults, strict=True)
    return [arg.arg for arg in (*first, *(arg for arg, default in pairs if default is None))]


def _bound(tree: ast.Module) -> Iterator[str]:
    """Yield the names that a file binds otherwise than by `def`."""
    for one in tree.body:
        if isinstance(one, ast.ImportFrom | ast.Import):
            yield from (alias.asname or alias.name for alias in one.names)
        elif isinstance(one, ast.ClassDef):
            yield one.name
        else:
            yield from (n.id for n in ast.walk(one) if isinstance(n, ast.Name) and _stored(n))


def _stored(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def _no_function(file: File, defined: Collection[str]) -> BadConfig:
    public = [name for name in defined if name[0] != "_"]
    has = f"it has: {some(public)}" if public else "it has none"
    only = public[0] if len(public) == 1 else None
    near = nearest(str(file.function), public) or only
    fix = f"--reward-funcs {file.path}:{near}" if near else ""
    return BadConfig(f"no function {file.function} in {file.name}; {has}.", fix=fix)


def _refuse_beside(tree: ast.Module, path: Path, name: str) -> None:
    """Refuse an import of what lies beside the file: it is not sent along."""
    for one in ast.walk(tree):
        if isinstance(one, ast.ImportFrom):
            modules = ["." * one.level + (one.module or "")]
        else:
            modules = [a.name for a in one.names] if isinstance(one, ast.Import) else []
        for module in modules:
            first = module.split(".")[0]
            beside = (path.parent / f"{first}.py", path.parent / first / "__init__.py")
            if module[:1] == "." or (first and any(file.is_file() for file in beside)):
                text = f"{name} imports {module}, which lies beside it and is not sent along"
                raise BadConfig(text, fix="Put it all into one file.")


def lacking(found: Sequence[Function], columns: Collection[str]) -> Mapping[Function, list[str]]:
    """Return the functions that need columns which are not there, each with those."""
    missing = {one: [c for c in one.columns if c not in columns] for one in found}
    return {one: names for one, names in missing.items() if names}
