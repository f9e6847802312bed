"""A loaded model that is asked again and again: what it is asked, and what it answers.

`worker.tasks` has models on this machine, `orchestrator.inference` those in another process or on
a server.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Message = Mapping[str, str]
"""A turn of a conversation: `role` and `content`."""

Messages = Sequence[Message]

Say = Callable[[str], None]
"""Is told each piece of an answer as soon as it is there."""


End = Literal["stop", "length", "interrupted"]
"""Why an answer ends: the model said so, it has as many tokens as it may, somebody stopped it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of a model."""

    text: str
    end: End = "stop"

    dropped: int = 0
    """Messages of the conversation's beginning that were left out, since they do not fit."""


class Session(ABC):
    """A model that answers until it is closed."""

    has_template: bool
    """Whether it knows conversations; else it goes on with the text of the last message."""

    @property
    def alive(self) -> bool:
        """Whether it can be asked again, also after an error."""
        return True

    @abstractmethod
    def reply(self, messages: Messages, say: Say) -> Reply:
        """Return the answer to a conversation; all that `say` is told makes up its text.

        Raises `HubtrainError`.
        """

    @abstractmethod
    def replies(self, chats: Sequence[Messages], together: int) -> Iterator[Reply]:
        """Yield the answers to several conversations in their order, asking so many `together`."""

    def close(self) -> None:  # noqa: B027 (most hold nothing)
        """Free what it holds."""
