"""An answer as an iterator over its beginnings, which computes no longer than somebody listens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import SimpleQueue

from worker.errors import HubtrainError
from worker.session import Messages, Session


def growing(session: Session, stop: threading.Event, messages: Messages) -> Iterator[str]:
    """Yield the answer as it grows, each time from its beginning. One at a time.

    `stop` is the session's own. Raises `HubtrainError`.
    """
    stop.clear()
    pieces: SimpleQueue[str | None] = SimpleQueue()
    failed: list[Exception] = []

    def reply() -> None:
        try:
            session.reply(messages, pieces.put)
        except Exception as error:  # raised below, to whoever listens
            failed.append(error)
        finally:
            pieces.put(None)

    thread = threading.Thread(target=reply, daemon=True, name="reply")
    thread.start()
    said = ""
    try:
        while (piece := pieces.get()) is not None:
            said += piece
            yield said
    finally:
        stop.set()
        thread.join()
    if failed:
        raise _in_words(failed[0]) from failed[0]
    if not said:
        yield ""


def _in_words(error: Exception) -> HubtrainError:
    return error if isinstance(error, HubtrainError) else HubtrainError("the model failed.")
