"""A tool of a task, run in a process of its own: `python -P -m worker.tool TASK NAME`.

It is told its settings and answers as `worker.answering` does.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from worker import tasks
from worker.answering import serve, told


def work(task: str, name: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Return what came of a tool with these settings, or what went wrong, as plain data."""
    known = tasks.load(task)
    tools = [*known.tools, *([known.export] if known.export else [])]
    (tool,) = (tool for tool in tools if tool.name == name)
    return told(task, lambda: dict(tool.work(tool.settings(**asked))))


if __name__ == "__main__":
    serve(partial(work, sys.argv[1], sys.argv[2]))
