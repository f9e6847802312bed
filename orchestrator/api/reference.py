"""Writes `docs/json.md`: `python -m orchestrator.api.reference > docs/json.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from orchestrator.api.errors import Failure
from orchestrator.api.printed import PRINTED, TASK, WITHOUT, Printed
from orchestrator.api.verbs import VERBS
from orchestrator.document import schema_of

HEAD = """# JSON

What programs read: the document of each command with `--json`, and the answers of
[HTTP, MCP](agents.md) and the [Python client](api.md). Each is declared once, as a class; this page
is written from there by `python -m orchestrator.api.reference`, and `hubtrain schema COMMAND`
prints the same as JSON schema. With `--json` standard output holds one document and nothing else;
what is said to people goes to standard error, and nothing is asked. Keys may be added by a later
version; those that are here keep their names and meanings. Times are ISO 8601 in UTC, money is US
dollars.
"""

FAILURES = """## What goes wrong

A command that could not do what was asked prints a [`Failure`](#failure) instead of its document,
with what is known beside it. `exit_code` is in it and in no other document.
"""


def page() -> str:
    """Return the page as Markdown."""
    parts = [HEAD, "## Commands\n", *_commands(), FAILURES, "## Calls\n", *_calls()]
    parts += ["## Documents\n", *_documents()]
    return "\n".join(parts)


def _commands() -> Iterator[str]:
    yield "| command | prints |\n|---|---|"
    for command, several in groupby(PRINTED, key=lambda one: one.command):
        yield f"| `{command}` | {'<br>'.join(map(_printed, several))} |"
    yield f"\n`{TASK}` is the command of any task. `{'`, `'.join(WITHOUT)}` have no `--json`.\n"


def _printed(one: Printed) -> str:
    when = f" ({one.when})" if one.when else ""
    return f"{_type(schema_of(one.document))}{', one a line' if one.a_line else ''}{when}"


def _calls() -> Iterator[str]:
    yield "| name | takes | answers |\n|---|---|---|"
    for verb in VERBS.values():
        takes, answers = (_type(schema_of(one)) for one in (verb.request, verb.answer))
        yield f"| `{verb.name}` | {takes} | {answers} |"
    yield ""


def _documents() -> Iterator[str]:
    """Yield every object that any of them is made of, once, by name."""
    found: dict[str, Mapping[str, Any]] = {}
    kinds = [Failure, *(one.document for one in PRINTED)]
    kinds += [kind for verb in VERBS.values() for kind in (verb.request, verb.answer)]
    for schema in map(schema_of, kinds):
        named = dict(schema.get("$defs", {}))
        if "properties" in schema and "title" in schema:
            named[schema["title"]] = {k: v for k, v in schema.items() if k != "$defs"}
        if two := [name for name in named if found.get(name, named[name]) != named[name]]:
            raise ValueError(f"several documents are called {', '.join(two)}")
        found |= named
    for name in sorted(found):
        yield from _object(name, found[name])


def _object(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {name}\n"
    if about := schema.get("description"):
        yield f"{_line(about)}\n"
    if "enum" in schema:
        yield f"One of {', '.join(f'`{one}`' for one in schema['enum'])}.\n"
    if properties := schema.get("properties"):
        yield "| key | type | meaning |\n|---|---|---|"
        for key, one in properties.items():
            yield f"| `{key}` | {_type(one)} | {_line(one.get('description', ''))} |"
        yield ""


def _type(schema: Mapping[str, Any]) -> str:
    """Return a schema in a few words, objects as links."""
    if "$ref" in schema:
        return _link(schema["$ref"].rpartition("/")[2])
    if several := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(map(_type, several)))
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " or ".join(f"`{one}`" for one in schema["enum"])
    return _of_kind(schema)


def _of_kind(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if kind == "object" and "properties" in schema:
        return _link(schema["title"])
    if kind == "object" and isinstance(more := schema.get("additionalProperties"), dict):
        return f"object of {_type(more)}"
    return "time" if schema.get("format") == "date-time" else str(kind)


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def _line(said: str) -> str:
    return " ".join(said.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())
