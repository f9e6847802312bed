"""How arguments are given to the Python API, and how what is wrong with them is said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from worker.errors import BadConfig, HubtrainError


def typed(value: object, kind: type | tuple[type, ...], name: str, example: str) -> None:
    """Raise `BadConfig` where an argument is given and is nothing of `kind`, with one that is."""
    if value is not None and not isinstance(value, kind):
        said = f"{name} is to be like {example}, and not {value!r:.80} ({type(value).__name__})."
        raise BadConfig(said)


@contextmanager
def in_arguments() -> Iterator[None]:
    """Let errors say what to do as Python does."""
    from hubtrain._errors import CheckFailed

    try:
        yield
    except CheckFailed:  # made of a report that does already
        raise
    except HubtrainError as error:
        from orchestrator.api.arguments import fix, text

        error.message, error.fix = text(error.message), fix(error.fix)
        raise
