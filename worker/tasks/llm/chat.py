"""Chats become text, and the text says which of its characters the model is to learn.

Preflight and training render with this one implementation. What it writes and learns is tested
against transformers and TRL, over every template that TRL ships. It does not know tokens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from typing import Any

from worker.families import sandbox
from worker.families.sandbox import Message, Piece
from worker.tasks.llm import turns
from worker.tasks.llm.habits import Habits, Messages, Tools, habits_of, last_token
from worker.tasks.llm.turns import Learned, Spans

__all__ = ["Learned", "Message", "Spans", "Template", "Tools", "named"]

_SAYS_ITSELF = re.compile(r"\{%-?\s*generation\s*-?%\}")

_REASONING = ("reasoning_content", "thinking", "reasoning")
"""Names of a message's reasoning. Templates read the first, gpt-oss's the second."""


def named(name: str) -> str:
    """Return the source of one of our own templates: `chatml` or `zephyr`."""
    return (files(__package__) / "templates" / f"{name}.jinja").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Template:
    """A chat template with the special tokens it may write.

    Raises one of `sandbox.FAULTS` where the template refuses a chat.
    """

    source: str
    tokens: Mapping[str, str] = field(default_factory=dict)
    """`bos_token`, `eos_token`, … as the tokenizer spells them."""

    ends: frozenset[str] = frozenset()
    """Tokens that can end a turn; white space behind one is not learned."""

    def render(self, chat: Messages, tools: Tools = (), *, prompt: bool = False) -> str:
        """Return the chat as text; with `prompt` it stops where the model is to speak."""
        return sandbox.render(self.source, _aliased(chat), self._more(tools, prompt))

    def pieces(
        self, chat: Messages, tools: Tools = (), *, prompt: bool = False
    ) -> list[Piece] | None:
        """Return the same text in pieces, each with the message it belongs to."""
        return sandbox.pieces(self.source, _aliased(chat), self._more(tools, prompt))

    def learned(self, chat: Messages, tools: Tools = (), *, given: int = 0) -> Learned:
        """Return the text, and where the assistant speaks in it.

        The first `given` messages are a prompt, whoever speaks in them. The template's own
        `generation` marks say where; without them it is found out.
        """
        find = turns.marked if _SAYS_ITSELF.search(self.source) else turns.unmarked
        return find(self, chat, tools, given)

    def end_of(self, chat: Messages, tools: Tools = ()) -> str | None:
        """Return the token that ends what the assistant says last; none where nothing does."""
        last = max((i for i, m in enumerate(chat) if m["role"] == "assistant"), default=-1)
        found = self.learned(chat[: last + 1], tools, given=last) if last >= 0 else None
        if found is None or not found.spans:
            return None
        start, end = found.spans[-1]
        return last_token(found.text[start:end], self.ends)

    @cached_property
    def habits(self) -> Habits:
        """How it writes answers."""
        return habits_of(self)

    def _more(self, tools: Tools, prompt: bool) -> dict[str, Any]:
        return {
            "tools": list(tools) or None,
            "documents": None,
            "add_generation_prompt": prompt,
            **self.tokens,
        }


def _aliased(chat: Messages) -> list[dict[str, Any]]:
    """Return messages with their reasoning under every name templates read, as transformers."""
    found = []
    for message in chat:
        said = next((message[name] for name in _REASONING if message.get(name) is not None), None)
        aliases = {} if said is None else {"reasoning_content": said}
        thought = {} if said is None else {"thinking": said}
        found.append({**thought, **message, **aliases})
    return found
