"""The model and the chats of `tiny_llm`, for tests that want them as files in one word."""

from __future__ import annotations

from pathlib import Path

import tiny_llm

model = tiny_llm.write_model


def chats(path: Path, rows: int = 40) -> Path:
    """Write conversations as JSON lines to `path` and return it."""
    return tiny_llm.write_rows(path, tiny_llm.chats(rows))
