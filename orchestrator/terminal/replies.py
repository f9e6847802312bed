"""What an answer of a model does not show of itself."""

from __future__ import annotations

from orchestrator.terminal.output import Screen
from orchestrator.words import count
from worker.session import Reply


def remark(screen: Screen, reply: Reply) -> None:
    """Say that an answer was cut, or that the beginning of its conversation was."""
    if reply.dropped:
        left = f"{count(reply.dropped, 'message')} at the beginning left out: more does not fit"
        screen.aside(f"({left} into the model)")
    if reply.end == "length":
        screen.aside("(cut: --max-new-tokens allows longer answers)")
