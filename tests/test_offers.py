"""What the product and its pages tell people to type or to read is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from localhub.cli import parser
from orchestrator.terminal.any_task import TakesSettings
from orchestrator.terminal.program import program
from worker import tasks

ROOT = Path(__file__).parents[1]
PAGES = (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))
ROOMS = ("backends", "hubtrain", "localhub", "orchestrator", "worker")

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_QUOTED = re.compile(r"`(?:hubtrain|autotrain)[ \n]([^`]+)`")
_LINE = re.compile(r"^(?:\$ )?(?:hubtrain|autotrain) ([^\n]*)", re.MULTILINE)
_OFFERED = re.compile(r"^(?:hubtrain|autotrain) ([^\n]*?)(?:,? or |; |,? then |$)", re.MULTILINE)
_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9_-]*")

PLACES = frozenset({"TASK", "NAME", "COMMAND", "<name>", "topics", "…"})
"""Stand for what is to be put in their place; `topics` is the example of CONTRIBUTING.md."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_a_page_lead_to_what_is_there(page: Path) -> None:
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    dead = [link for link in _LINK.findall(text) if "://" not in link and not _is_there(page, link)]
    assert dead == []


def _is_there(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = (page.parent / name) if name else page
    if not target.exists():
        return False
    return not anchor or anchor in _anchors(target)


@cache
def _anchors(page: Path) -> set[str]:
    """Return the names that GitHub gives the headings of a page."""
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_commands_on_pages_are_known() -> None:
    """In backticks, or as a line of a block; in prose other words follow the product's name."""
    wrong = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        blocks = "\n".join(_FENCED.findall(text))
        typed = [*_QUOTED.findall(_FENCED.sub("", text)), *_LINE.findall(blocks)]
        wrong += [f"{page.name}: {said}" for said in map(_wrong, typed) if said]
    assert wrong == []


def test_commands_in_messages_are_known() -> None:
    """In backticks, or at the beginning of a text: that is what is offered to be typed."""
    wrong = []
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        for text in _said(path):
            begun = [
                said for said in _OFFERED.findall(text) if said.partition(" ")[0] in _commands()
            ]
            typed = [*_QUOTED.findall(text), *begun]
            wrong += [f"{path.relative_to(ROOT)}: {said}" for said in map(_wrong, typed) if said]
    assert wrong == []


def _said(path: Path) -> Iterator[str]:
    """Yield the texts of a module, with `X` for what is put into them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            parts = (p.value if isinstance(p, ast.Constant) else "X" for p in node.values)
            yield "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _wrong(command: str) -> str:
    """Return a command of ours that is none, or has flags that are none; nothing if it is one."""
    name, *rest = re.sub(r"\s(#|-- ).*", "", command).split() or ["--help"]
    if name.startswith("-"):  # of a file, or of the program itself
        name, rest = "config", [name, *rest]
    if name in PLACES or name.startswith("X"):
        name = "config"
    if name not in _commands():
        return f"hubtrain {command}"
    flags = {found.replace("_", "-") for word in rest for found in _FLAG.findall(word)}
    unknown = sorted(flags - _flags(name, next(iter(rest), "")))
    return f"hubtrain {command}: no {', '.join(unknown)}" if unknown else ""


@cache
def _commands() -> frozenset[str]:
    listed = program.list_commands(click.Context(program))
    return frozenset(listed) | {"train", "api"}  # short for pretraining; said not to be there


@cache
def _flags(name: str, word: str) -> frozenset[str]:
    """Return the flags of a command: of one that takes the settings of any task, those of all."""
    context = click.Context(program)
    command = program.get_command(context, name)
    if isinstance(command, click.Group):
        command = command.get_command(context, word)
    if command is None:
        return frozenset()
    if name == "hub":  # its words are read by the Hub itself
        return frozenset(_FLAG.findall(parser().format_help()))
    named = command.get_params(click.Context(command))
    found = {o for param in named for o in (*param.opts, *param.secondary_opts)}
    if isinstance(command, TakesSettings) or name in {"sweep", "config"}:
        every = {*map(tasks.typed, tasks.names())}
        found |= {flag for task in every for flag in _flags(task, "")} | {"--train", "--version"}
    return frozenset(found)
