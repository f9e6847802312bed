"""A chat with a model on a terminal."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field

from orchestrator.exits import DETACHED
from orchestrator.terminal.output import Screen
from orchestrator.terminal.replies import remark
from worker.errors import HubtrainError
from worker.session import Message, Session

PROMPT = "> "
HELP = "/reset begins anew · /exit or Ctrl-D leaves · Ctrl-C stops an answer · \\ at the end: go on"
_COMMAND = re.compile(r"/[a-z]+")


@dataclass
class Chat:
    """A conversation that somebody types."""

    screen: Screen
    session: Session
    model: str
    system: str | None = None
    said: list[Message] = field(default_factory=list)
    """The conversation up to here, without the system message."""

    def run(self) -> int:
        """Read and answer until it is left; returns the exit code. Raises `HubtrainError`."""
        with suppress(ImportError):
            import readline  # noqa: F401 (lines can be edited, and earlier ones called back)
        self.screen.say(f"Chat with {self.model}", HELP)
        if not self.session.has_template:
            self.screen.say("It has no chat template: it goes on with each text, and forgets it.")
        interrupted = False
        while True:
            try:
                text = _read()
            except EOFError:
                self.screen.plain("")
                return 0
            except KeyboardInterrupt:
                self.screen.plain("")
                if interrupted:
                    return DETACHED
                interrupted = True
                self.screen.say("Ctrl-C again, /exit or Ctrl-D leaves.")
                continue
            interrupted = False
            if text.strip() == "/exit":
                return 0
            self._take(text)

    def _take(self, text: str) -> None:
        match text.strip():
            case "":
                pass
            case "/reset":
                self.said.clear()
                self.screen.say("A new conversation.")
            case command if _COMMAND.fullmatch(command):
                self.screen.say(*([] if command == "/help" else [f"No command {command}."]), HELP)
            case _:
                self._answer(text)

    def _answer(self, text: str) -> None:
        system = [{"role": "system", "content": self.system}] if self.system else []
        asked = {"role": "user", "content": text}
        try:
            with self.screen.waiting("Answering"), self.screen.streamed() as say:
                reply = self.session.reply([*system, *self.said, asked], say)
        except HubtrainError as error:
            if not self.session.alive:
                raise
            self.screen.error(error.message, error.fix)
            return
        remark(self.screen, reply)
        del self.said[: reply.dropped]
        self.said += [asked, {"role": "assistant", "content": reply.text}]


def _read() -> str:
    """Return what is typed: a line, and those that follow a backslash at the end."""
    lines = [input(PROMPT)]
    while lines[-1].endswith("\\"):
        lines[-1] = lines[-1].removesuffix("\\")
        lines.append(input())
    return "\n".join(lines)
