"""A trained model's answer, found in a process of its own, so that the laptop's stays light.

`python -P -m worker.answering TASK` reads a question, one line of JSON, from standard input, so
that no list of processes shows it, and writes the answer in JSON to standard output. What libraries
print goes to standard error. Its starter limits its time and what it gets of the environment, and
keeps standard input open: once that is closed nobody waits for the answer, and the process ends.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from worker import tasks
from worker.errors import BadConfig, HubtrainError
from worker.installing import install

SILENT = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


def answer(name: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to `{"model": …, "question": {…}}`, or what went wrong, as plain data."""

    def ask() -> Any:
        task = tasks.load(name)
        if task.question is None:
            raise BadConfig(f"models of {name} cannot be asked.")
        return task.answer(asked["model"], task.question(**asked["question"]))

    return told(name, ask)


def told(name: str, work: Callable[[], Any]) -> dict[str, Any]:
    """Return what came of some work of a task, or what went wrong, as plain data."""
    try:
        return {"answer": work()}
    except HubtrainError as error:
        return {
            "message": error.message,
            "fix": error.fix,
            "mendable": isinstance(error, BadConfig),
        }
    except ImportError as error:
        what, fix = f"this needs {error.name or error} here.", install(tasks.load(name).extras)
        return {"message": what, "fix": fix, "mendable": False}
    except OSError as error:
        if not error.filename:
            raise
        return {"message": f"{error.strerror}: {error.filename}", "fix": "", "mendable": True}


def _end_with_starter() -> None:
    os.read(0, 1)  # blocks for as long as whoever asks keeps it open
    os._exit(1)


def serve(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Answer the one question that comes from standard input."""
    os.environ.update(SILENT)
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    question = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_starter, daemon=True).start()
    said = answer(question)
    out.write(json.dumps(said))
    out.close()


if __name__ == "__main__":
    serve(partial(answer, sys.argv[1]))
