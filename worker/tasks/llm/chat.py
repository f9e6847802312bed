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

TOOLS = "the tools"
_BESIDE = {"tool calls": ("tool_calls",), "reasoning": _REASONING}
"""What messages may hold beside what they say, to its names in them."""


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
        return sandbox.render(self.source, self._aliased(chat), self._more(tools, prompt))

    def pieces(
        self, chat: Messages, tools: Tools = (), *, prompt: bool = False
    ) -> list[Piece] | None:
        """Return the same text in pieces, each with the message it belongs to."""
        return sandbox.pieces(self.source, self._aliased(chat), self._more(tools, prompt))

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

    def tell_written(self, chat: Messages, tools: Tools, known: dict[str, bool]) -> None:
        """Note in `known` of what the chat holds beside its texts whether it is written.

        Told once of each, by rendering the chat without it. A template may write the reasoning of
        the last turn alone, so the chat ends there.
        """
        if tools and TOOLS not in known:
            known[TOOLS] = self._differs((chat, tools), (chat, ()))
        for what, names in _BESIDE.items():
            last = max((i for i, m in enumerate(chat) if any(map(m.get, names))), default=-1)
            if last >= 0 and what not in known:
                told = chat[: last + 1]
                bare = [{k: v for k, v in m.items() if k not in names} for m in told]
                known[what] = self._differs((told, tools), (bare, tools))

    def _differs(self, *chats: tuple[Messages, Tools]) -> bool:
        """Whether two chats are written differently, as where one of them is refused."""
        try:
            one, other = (self.render(*chat) for chat in chats)
        except sandbox.FAULTS:
            return True
        return one != other

    @cached_property
    def habits(self) -> Habits:
        """How it writes answers."""
        return habits_of(self)

    @cached_property
    def _writes_strings(self) -> bool:
        """Whether it writes content that is a string; others take parts alone."""
        try:
            return "§" in sandbox.render(
                self.source, [{"role": "user", "content": "§"}], self._more((), False)
            )
        except sandbox.FAULTS:
            return False

    def _aliased(self, chat: Messages) -> list[dict[str, Any]]:
        """Return messages with their reasoning under every name templates read, as transformers.

        And with parts of text as one text, since many templates drop parts or refuse them.
        """
        whole = any(not isinstance(m.get("content"), str) for m in chat) and self._writes_strings
        found = []
        for message in chat:
            said = next((message[n] for n in _REASONING if message.get(n) is not None), None)
            aliases = {} if said is None else {"reasoning_content": said}
            thought = {} if said is None else {"thinking": said}
            text = {"content": _whole(message.get("content"))} if whole else {}
            found.append({**thought, **message, **aliases, **text})
        return found

    def _more(self, tools: Tools, prompt: bool) -> dict[str, Any]:
        return {
            "tools": list(tools) or None,
            "documents": None,
            "add_generation_prompt": prompt,
            **self.tokens,
        }


def _whole(content: Any) -> Any:
    """Return parts that are all text as one text, and anything else as it is."""
    parts = content if isinstance(content, list | tuple) else ()
    texts = [part.get("text") for part in parts if isinstance(part, Mapping)]
    told = [text for text in texts if isinstance(text, str)]
    return "".join(told) if told and len(told) == len(parts) else content
