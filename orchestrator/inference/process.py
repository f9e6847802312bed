"""A model in a process of its own on this machine, which is `worker.answering`."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from queue import Empty, Queue
from typing import Any

from orchestrator.subprocess_call import answer_in, command_of
from worker.duration import duration
from worker.errors import HubtrainError
from worker.session import End, Messages, Reply, Say, Session

SECONDS = 1800.0
"""Longest silence: a large model may have to be fetched first."""


class ProcessSession(Session):
    """A model of this machine, or the one answer of a model that cannot be talked to.

    Ctrl-C ends an answer early; a second one, while the first is awaited, is raised.
    """

    def __init__(
        self, task: str, asked: object, environ: Mapping[str, str], seconds: float = SECONDS
    ) -> None:
        self._seconds = seconds
        self._trouble = tempfile.TemporaryFile()  # noqa: SIM115 (until `close`)
        self._process = subprocess.Popen(
            command_of("worker.answering", task),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._trouble,
            env=environ,
        )
        self._lines: Queue[bytes] = Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            self._ask(asked)
            told = self._told()
        except BaseException:
            self.close()
            raise
        self.answer: Any = told.get("answer")
        """The answer to the question, of a model that gives no other."""
        self.talks = "session" in told
        self.has_template = self.talks and bool(told["session"]["has_template"])

    @property
    def alive(self) -> bool:
        """Whether the process is still there."""
        return self._process.poll() is None

    def reply(self, messages: Messages, say: Say) -> Reply:
        """Return the answer, told to `say` word by word."""
        self._ask({"messages": list(messages)})
        try:
            while "text" in (told := self._told()):
                say(str(told["text"]))
        except KeyboardInterrupt:
            self._ask({"stop": True})
            while "text" in (told := self._told()):
                pass
        return _reply(told["answer"])

    def replies(self, chats: Sequence[Messages], together: int) -> Iterator[Reply]:
        """Yield the answers, each batch of them at once."""
        self._ask({"chats": [list(messages) for messages in chats], "together": together})
        while "reply" in (told := self._told()):
            yield _reply(told["reply"])

    def ask(self, questions: Sequence[Mapping[str, Any]]) -> None:
        """Ask a model that answers lists of questions; each answer is then `next`."""
        self._ask({"questions": questions})

    def next(self) -> dict[str, Any]:
        """Return `{"answer": …}`, or `{"message": …}` for a question that cannot be answered."""
        said: dict[str, Any] = self._told()["one"]
        return said

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        with suppress(BrokenPipeError), self._process:
            pass
        self._trouble.close()

    def _ask(self, request: object) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended; its last words say why
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()

    def _listen(self) -> None:
        # Ctrl-C would take away the beginning of a line from one that reads it in the main thread.
        assert self._process.stdout is not None
        with self._process.stdout as out:
            for line in out:
                self._lines.put(line)
        self._lines.put(b"")

    def _told(self) -> Mapping[str, Any]:
        try:
            line = self._lines.get(timeout=self._seconds)
        except Empty:
            self._process.kill()
            raise HubtrainError(f"no answer in {duration(self._seconds)}: stopped.") from None
        return answer_in(line, self._process, self._trouble)


def _reply(told: Any) -> Reply:
    """Return an answer as the process told it, where a stranger's code may run."""
    said = told if isinstance(told, dict) else {}
    ends: dict[str, End] = {"length": "length", "interrupted": "interrupted"}
    end = ends.get(str(said.get("end")), "stop")
    dropped = said.get("dropped")
    return Reply(str(said.get("text")), end, dropped if isinstance(dropped, int) else 0)
