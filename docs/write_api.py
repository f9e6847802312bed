"""Writes `docs/api.md` from the docstrings of `hubtrain/`: `python docs/write_api.py`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import hubtrain

HEAD = """# The Python API

Written from the docstrings of `hubtrain/` by `python docs/write_api.py`.
A whole program is [examples/python_api.py](../examples/python_api.py), and
[examples/hubtrain.ipynb](../examples/hubtrain.ipynb) is [a notebook](#in-a-notebook).
"""

SETTINGS = """[Every setting](settings.md) is listed by its name. Numbers, booleans and paths are
given as Python has them. What is not given comes from the environment (`HUBTRAIN_<NAME>`), then
from `config`, then from the defaults.

Ctrl-C stops no job either. Jobs are those that `hubtrain jobs` lists, and every command of the
terminal works on them.
"""


NOTEBOOK = """## In a notebook

`Job.watch` draws the job in its cell, with the curves of the job's page. Stopping the cell
leaves the job running, and says how to watch it again.

[examples/hubtrain.ipynb](../examples/hubtrain.ipynb) goes from sample data to a model that
answers, in Jupyter and in Colab: upload it there, and beside it `hubtrain.zip`, which `git
archive -o hubtrain.zip HEAD` makes in a copy of the repository; its first cell installs that.
The token is that of `HF_TOKEN`, of a secret of this name in Colab, or of a login on a page of
the Hub: no cell shows it.

What trains on the machine of a Colab runtime ends with the runtime, and so does all that lies
there. What is rented goes on, and `hubtrain.job(handle)` finds it from anywhere.
"""


def page() -> str:
    """Return the page as Markdown."""
    parts = [HEAD, _plain(str(hubtrain.__doc__)), SETTINGS]
    for title, names in (
        (
            "Functions",
            (
                *("init", "train", "resume", "rerun", "check", "rehearse", "job", "jobs"),
                *("export", "deploy"),
            ),
        ),
        ("Job", ("Job",)),
        ("Deployment", ("Deployment",)),
        ("Client", ("Client",)),
        ("Errors", sorted(n for n in hubtrain.__all__ if _is_error(n))),
        ("States and reasons", ("State", "EndReason")),
    ):
        parts.append(f"## {title}\n")
        for name in names:
            parts += _entry(name, getattr(hubtrain, name))
        parts.append("")
        parts += [NOTEBOOK] if title == "Job" else []
    return "\n".join(parts).replace("\n\n\n", "\n\n").rstrip() + "\n"


def _is_error(name: str) -> bool:
    thing = getattr(hubtrain, name)
    return isinstance(thing, type) and issubclass(thing, BaseException)


def _entry(name: str, thing: object) -> Iterator[str]:
    if _is_error(name):
        bases = ", ".join(b.__name__ for b in type.mro(thing)[1:2])  # type: ignore[arg-type]
        yield f"- `{name}` (a `{bases}`): {_first(thing)}"
    elif name in {"State", "EndReason"}:
        values = ", ".join(f"`{one}`" for one in getattr(hubtrain, name))
        yield f"`{name}`: {values}.\n"
    elif isinstance(thing, type):
        yield _plain(inspect.getdoc(thing) or "")
        yield "| | |\n|---|---|"
        members = [(n, m) for n, m in vars(thing).items() if not n.startswith("_")]
        for member, what in members:
            if isinstance(what, property):
                yield f"| `.{member}` | {_line(what)} |"
        for member, what in members:
            if callable(what):
                yield f"| `.{_called(member, what)}` | {_line(what)} |"
        yield ""
    elif callable(thing):
        yield f"### `hubtrain.{_called(name, thing, types=True)}`\n"
        yield _plain(inspect.getdoc(thing) or "")


def _called(name: str, thing: object, *, types: bool = False) -> str:
    signature = inspect.signature(thing)  # type: ignore[arg-type]
    given = [p for p in signature.parameters.values() if p.name != "self"]
    if not types:
        given = [p.replace(annotation=inspect.Parameter.empty) for p in given]
        signature = signature.replace(return_annotation=inspect.Signature.empty)
    return f"{name}{signature.replace(parameters=given)}".replace("'", "")


def _first(thing: object) -> str:
    return (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ")


def _line(thing: object) -> str:
    """Return a docstring as a cell of a table: indented code is set as code."""
    lines = (inspect.getdoc(thing) or "").splitlines()
    told = (f"`{line.strip()}`" if line.startswith("    ") else line for line in lines)
    return " ".join(filter(None, told))


def _plain(doc: str) -> str:
    """Return a docstring as Markdown: indented code fenced, arguments as a list."""
    lines, code = [], False
    listing = ""
    for line in doc.strip().splitlines():
        if line in {"Args:", "Raises:"}:
            listing = line
            lines.append({"Args:": "Arguments:\n", "Raises:": "Raises:\n"}[line])
        elif listing and line.strip():
            name, _, text = line.strip().partition(": ")
            lines.append(f"- `{name}`: {text}")
        else:
            indented = line.startswith("    ") or (code and not line.strip())
            if indented != code:
                lines.append("```python" if indented else "```")
            code = indented
            lines.append(line.removeprefix("    "))
    return "\n".join(lines).replace("\n\n```\n", "\n```\n\n") + "\n"


if __name__ == "__main__":
    (Path(__file__).parent / "api.md").write_text(page(), encoding="utf-8")
