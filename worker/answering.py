"""Answers of a trained model, found in a process of its own, so that the laptop's stays light.

`python -P -m worker.answering TASK` is told a model and a question, one line of JSON, on standard
input, so that no list of processes shows them. Where the task has a `Session` of such a model, that
is said (`{"session": …}`) and conversations are answered, one request a line, until standard input
is closed; otherwise the question itself is answered. Told how many questions to answer `together`,
it says that the model is loaded (`{"ready": true}`), and answers lists of them in the same way.
Everything that is told is a line of JSON too:

    → {"messages": […]}              ← {"text": "piece"} …, then {"answer": a Reply}
    → {"chats": […], "together": 8}  ← {"reply": a Reply} …, then {"answer": null}
    → {"questions": [{…}, …]}        ← {"one": {"answer": …} or {"message": …}} for each of them
    → {"stop": true}                 an answer that goes on ends early

or a message, what to type, and whether the user can mend it. What libraries print goes to standard
error. The starter limits time and what there is of the environment, and keeps standard input open:
once that is closed nobody waits for an answer, and the process ends.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from queue import Queue
from typing import IO, Any, NoReturn

from pydantic import ValidationError

from worker import disk, tasks
from worker.answers import in_places
from worker.errors import BadConfig, HubtrainError
from worker.exchange import Answering
from worker.installing import install
from worker.params import Params
from worker.session import Session
from worker.task import Task

SILENT = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


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
        what, fix = disk.refused(error)
        return {"message": what, "fix": fix, "mendable": True}


def _end_with_starter() -> None:
    os.read(0, 1)  # blocks for as long as whoever asks keeps it open
    os._exit(1)


def _opened() -> IO[str]:
    """Return where answers go; what libraries print goes to standard error from here on."""
    os.environ.update(SILENT)
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out


def serve(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Answer the one question that comes from standard input."""
    out = _opened()
    question = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_starter, daemon=True).start()
    said = answer(question)
    out.write(json.dumps(said))
    out.close()


@dataclass
class _Asker:
    """Who asks at the other end of standard input and output."""

    out: IO[str]
    requests: Queue[dict[str, Any]] = field(default_factory=Queue)
    stop: threading.Event = field(default_factory=threading.Event)

    def tell(self, said: dict[str, Any]) -> None:
        """Write a line."""
        self.out.write(json.dumps(said) + "\n")
        self.out.flush()

    def listen(self) -> None:
        """Take requests as they come, and end the process once nobody asks any more."""
        with open(0, "rb", closefd=False) as asked:  # Python closes its own at the end, and waits
            for line in asked:
                request = json.loads(line)
                if request.get("stop"):
                    self.stop.set()
                else:
                    self.stop.clear()  # it may have come too late for the last request
                    self.requests.put(request)
        os._exit(1)


def converse(name: str) -> None:
    """Answer a question of a task, or whatever is asked of a session of its model."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asks decides what Ctrl-C ends
    asker = _Asker(_opened())
    threading.Thread(target=asker.listen, daemon=True).start()
    asked = asker.requests.get()
    if "together" in asked:
        _answer_lists(name, asked, asker)
    session: Session | None = None

    def begin() -> Any:
        nonlocal session
        task, kind = _asked(name)
        question = kind(**asked["question"])
        session = task.session(asked["model"], question, asker.stop)
        return None if session else task.answer(asked["model"], question)

    said = told(name, begin)
    if session is None:
        asker.tell(said)
        return
    asker.tell({"session": {"has_template": session.has_template}})
    while True:
        asker.tell(told(name, partial(_replied, session, asker, asker.requests.get())))


def _replied(session: Session, asker: _Asker, request: dict[str, Any]) -> dict[str, Any] | None:
    """Return the whole answer to a request, each piece of it told before."""
    if "messages" in request:
        return asdict(session.reply(request["messages"], lambda text: asker.tell({"text": text})))
    for reply in session.replies(request["chats"], request["together"]):
        asker.tell({"reply": asdict(reply)})
    return None


def _asked(name: str) -> tuple[Task[Any], type[Params]]:
    """Return a task and the class of its questions. Raises `BadConfig`."""
    task = tasks.load(name)
    if task.question is None:
        raise BadConfig(f"models of {name} cannot be asked.")
    return task, task.question


def _answer_lists(name: str, asked: dict[str, Any], asker: _Asker) -> NoReturn:
    """Answer lists of questions, each answer told as soon as it is there, until nobody asks."""
    task, kind = _asked(name)
    same: dict[str, Any] = asked["question"]
    model: list[Answering] = []

    def load() -> None:
        settings = kind.model_construct(**same)
        model.append(task.answering(asked["model"], settings, asked["together"]))

    def answer(listed: list[dict[str, Any]]) -> None:
        questions = [_question(kind, same | one) for one in listed]
        for said in in_places(questions, model[0]):
            fault = isinstance(said, HubtrainError)
            asker.tell({"one": {"message": said.message} if fault else {"answer": said}})

    said = told(name, load)
    asker.tell(said if "message" in said else {"ready": True})
    while True:
        listed = asker.requests.get()["questions"]
        if "message" in (said := told(name, partial(answer, listed))):
            asker.tell(said)


def _question(kind: type[Params], values: dict[str, Any]) -> Params | BadConfig:
    try:
        return kind(**values)
    except ValidationError as error:
        wrong = error.errors()[0]
        name = str(wrong["loc"][0]) if wrong["loc"] else "the row"
        return BadConfig(f"{name}: {wrong['msg']}")


if __name__ == "__main__":
    converse(sys.argv[1])
