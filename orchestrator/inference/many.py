"""Many questions to a model in a process of its own: it computes while the next are read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from orchestrator.inference.process import ProcessSession
from orchestrator.inference.questions import Asked

AT_ONCE = 256
"""Rows that are asked about in one message."""


def answered(
    process: ProcessSession, asked: Iterable[Asked]
) -> Iterator[tuple[Asked, dict[str, Any]]]:
    """Yield each row with `{"answer": …}`, or `{"message": …}` for one that cannot be answered."""
    waiting: deque[list[Asked]] = deque()
    rest = iter(asked)
    while some := list(islice(rest, AT_ONCE)):
        process.ask([dict(one.question) for one in some if not one.fault])
        waiting.append(some)
        if len(waiting) > 1:
            yield from _answers(process, waiting.popleft())
    for some in waiting:
        yield from _answers(process, some)


def _answers(
    process: ProcessSession, some: Iterable[Asked]
) -> Iterator[tuple[Asked, dict[str, Any]]]:
    for one in some:
        said = {"message": one.fault} if one.fault else process.next()
        for copy in one.files:
            copy.unlink(missing_ok=True)
            if "message" in said:
                said["message"] = str(said["message"]).replace(str(copy), "the picture")
        yield one, said
