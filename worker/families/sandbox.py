"""Renders chat templates, which are strangers' code, and notes whose words stand where.

The sandbox is transformers': trimmed blocks, `raise_exception`, `strftime_now`, `tojson`, the
`generation` tag; the tests compare the two. Beside the text it can tell which message each piece
of it belongs to: every loop of a template is made to say which message it has come to, by marks
of private-use characters that are taken out again. It knows neither roles nor what is learned.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import jinja2
import jinja2.ext
import jinja2.parser
import jinja2.sandbox
import jinja2.utils
import jinja2.visitor
from jinja2 import nodes

Message = Mapping[str, Any]

FAULTS = (jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a template may raise over a chat it was not made for."""

_BORDER = "\ue0fe"
_MARK = re.compile(f"{_BORDER}([^{_BORDER}]*){_BORDER}")
_SAID, _NOT_SAID = "said", "not said"


def _mark(what: object) -> str:
    return f"{_BORDER}{what}{_BORDER}"


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of a rendered text."""

    text: str
    message: int | None
    """Place in the chat of the message it belongs to; none outside of all messages."""

    said: bool
    """Whether the template marks it with `generation` as said by the model."""


class _Generation(jinja2.ext.Extension):
    """`{% generation %} … {% endgeneration %}`: what stands inside was said by the model."""

    tags = {"generation"}  # noqa: RUF012 (the name and type jinja2 looks for)

    def parse(self, parser: jinja2.parser.Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_said"), [], [], body).set_lineno(line)

    def _said(self, caller: Callable[[], str]) -> str:
        return caller()


class _MarkedGeneration(_Generation):
    def _said(self, caller: Callable[[], str]) -> str:
        return _mark(_SAID) + caller() + _mark(_NOT_SAID)


class _Tracked(jinja2.visitor.NodeTransformer):
    """Lets each loop of a template call `_Turns` before it, at each item, and after it."""

    def visit_For(self, node: nodes.For) -> list[nodes.Node]:  # noqa: N802 (jinja2's name)
        self.generic_visit(node)
        if isinstance(node.target, nodes.Name):
            item = nodes.Name(node.target.name, "load")
            node.body.insert(0, _says("_turn_of", item))
        return [_says("_loop_begins"), node, _says("_loop_ends")]


def _says(function: str, *arguments: nodes.Expr) -> nodes.Output:
    called = nodes.Name(function, "load")
    return nodes.Output([nodes.Call(called, list(arguments), [], None, None)])


class _Turns:
    """Which message a rendering has come to."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self._places = {id(message): i for i, message in enumerate(messages)}
        self._at: int | None = None
        self._outside: list[int | None] = []

    def begins(self) -> str:
        self._outside.append(self._at)
        return ""

    def comes_to(self, item: Any) -> str:
        place = self._places.get(id(item))
        if place is None:
            return ""
        self._at = place
        return _mark(place)

    def ends(self) -> str:
        before, self._at = self._at, self._outside.pop()
        return _mark("" if self._at is None else self._at) if self._at != before else ""


class _Namespace(jinja2.utils.Namespace):
    """What `namespace()` makes in a template: templates are strangers' code, so no dunders."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__()
        for name, value in dict(*args, **attributes).items():
            self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            raise jinja2.exceptions.SecurityError(f"a template may not set {name!r}")
        super().__setitem__(name, value)


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)


def _dict(*pairs: Any, **items: Any) -> dict[Any, Any]:
    return dict(*pairs, **items)  # a function has no class attributes to climb through


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _sandbox(generation: type[_Generation]) -> jinja2.sandbox.ImmutableSandboxedEnvironment:
    made = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[generation, jinja2.ext.loopcontrols]
    )
    made.filters["tojson"] = _to_json
    made.globals["raise_exception"] = _refuse
    made.globals["dict"] = _dict
    made.globals["namespace"] = _Namespace
    made.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return made


@cache
def _compiled(source: str) -> jinja2.Template:
    return _sandbox(_Generation).from_string(source)


@cache
def _tracked(source: str) -> jinja2.Template:
    sandbox = _sandbox(_MarkedGeneration)
    tree = _Tracked().visit(sandbox.parse(source))
    tree.set_lineno(1).set_environment(sandbox)
    return sandbox.from_string(tree)


def render(source: str, messages: Sequence[Message], more: Mapping[str, Any]) -> str:
    """Return the text a template makes of messages. Raises `jinja2.TemplateError`."""
    return _compiled(source).render(messages=[dict(message) for message in messages], **more)


def pieces(source: str, messages: Sequence[Message], more: Mapping[str, Any]) -> list[Piece] | None:
    """Return the same text in pieces; none where the marks cannot be told from it.

    Raises `jinja2.TemplateError`.
    """
    plain = render(source, messages, more)
    if _BORDER in plain:  # in the words of a row, or of the template
        return None
    copies = [dict(message) for message in messages]
    turns = _Turns(copies)
    calls = {"_loop_begins": turns.begins, "_turn_of": turns.comes_to, "_loop_ends": turns.ends}
    found = _split(_tracked(source).render(messages=copies, **more, **calls))
    return found if "".join(piece.text for piece in found) == plain else None


def _split(marked: str) -> list[Piece]:
    texts = _MARK.split(marked)
    found, message, said = [Piece(texts[0], None, False)], None, False
    for mark, text in zip(texts[1::2], texts[2::2], strict=True):
        if mark in {_SAID, _NOT_SAID}:
            said = mark == _SAID
        else:
            message = int(mark) if mark else None
        found.append(Piece(text, message, said))
    return found
