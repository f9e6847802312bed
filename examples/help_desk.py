"""Makes the demo's data: questions to a help desk for Python's library, and where each belongs.

A question is the sentence with which a function, class or method of the standard library says what
it does, read from the interpreter that runs this. The answer always has the same two lines: the
topic, and the page of the documentation. A few sentences of each topic are held out: the model
never sees them, and shows on them what it has learned.
"""

from __future__ import annotations

import inspect
import json
import random
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

TOPICS = {
    "dates": ("datetime", ("calendar", "datetime")),
    "files": ("filesys", ("pathlib", "shutil", "tempfile")),
    "logs": ("logging", ("logging", "logging.handlers")),
    "network": ("internet", ("ftplib", "http.client", "imaplib", "smtplib")),
    "numbers": ("numeric", ("decimal", "math", "statistics")),
    "text": ("text", ("re", "str", "string", "textwrap")),
}
"""What the desk sorts by, the page to read, and the modules the questions are from."""

TRAIN, HELD_OUT = 30, 5
"""Questions a topic. 180 rows are 11 thousand tokens, 100 seconds on two cores without bfloat16."""

SHOWN = 1
"""The held-out question that the demo asks before and after."""

CHARACTERS = range(35, 100)
"""Length of a question: a sentence that says something."""

Row = dict[str, list[dict[str, str]]]


def rows() -> tuple[list[Row], list[Row]]:
    """Return the conversations to train on and those held out, the same in every run."""
    train: list[Row] = []
    held_out: list[Row] = []
    chance = random.Random(0)
    seen: set[str] = set()
    for topic, (page, modules) in TOPICS.items():
        texts = dict.fromkeys(text for module in modules for text in sentences(module))
        found = [conversation(text, topic, page) for text in texts if text not in seen]
        seen.update(texts)
        chance.shuffle(found)
        held_out += found[:HELD_OUT]
        train += found[HELD_OUT : HELD_OUT + TRAIN]
    chance.shuffle(train)
    return train, held_out


def conversation(text: str, topic: str, page: str) -> Row:
    """Return a question and the desk's answer."""
    answer = f"Topic: {topic}\nRead: docs.python.org/3/library/{page}.html"
    turns = (("user", f"Python: {text}"), ("assistant", answer))
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


def sentences(module: str) -> Iterator[str]:
    """Yield the first sentence of what a module's public things say of themselves."""
    for thing in _things(module):
        text = " ".join((inspect.getdoc(thing) or "").strip().split("\n\n")[0].split())
        first = re.match(r"[A-Z].+?\.(?=\s|$)", text)
        if first and len(first.group()) in CHARACTERS and "->" not in text:
            yield first.group()


def _things(module: str) -> Iterator[Any]:
    if module == "str":
        yield from vars(str).values()
        return
    home = import_module(module)
    public = getattr(home, "__all__", [name for name in vars(home) if not name.startswith("_")])
    for thing in (getattr(home, name) for name in public):
        if inspect.isroutine(thing) or inspect.isclass(thing):
            yield thing
        if inspect.isclass(thing):
            members = (m for name, m in vars(thing).items() if not name.startswith("_"))
            yield from (m for m in members if inspect.isroutine(m) or isinstance(m, property))


def write(folder: Path) -> tuple[Path, Path]:
    """Write both as JSON lines, `train.jsonl` and `held-out.jsonl`; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "train.jsonl", folder / "held-out.jsonl"
    for path, made in zip(paths, rows(), strict=True):
        path.write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")
    return paths


if __name__ == "__main__":
    sys.stdout.write("".join(f"{path}\n" for path in write(Path(sys.argv[1]))))
