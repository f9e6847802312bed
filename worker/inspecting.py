"""A task's check of the examples, in a separate process with limited memory and time.

Chat templates and tokenizers are untrusted: some are written to hang the laptop or to use up its
memory. `python -P -m worker.inspecting TASK` reads one pickled `InspectionRequest` from standard
input, from whoever started it, and writes one answer in JSON, which may be read without trust.
It limits its own memory where the system can (Linux); its starter limits its time.
"""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from worker import tasks
from worker.errors import BadConfig, HubtrainError
from worker.facts import ModelFacts
from worker.splits import Split

LONGEST = 2000
"""Characters of a message; a template writes its own."""


@dataclass(frozen=True, slots=True)
class InspectionRequest:
    """What a task is asked about, with all that the answer takes."""

    params: Mapping[str, Any]
    splits: Mapping[str, Split]
    """With their rows in lists."""

    facts: ModelFacts
    tokenizer: str | None
    """Path of the model's `tokenizer.json`."""

    memory: int
    """Bytes the process may have, itself included."""


def answer(task: str, question: InspectionRequest) -> dict[str, Any]:
    """Return what the task reports, or what it refuses, as plain data."""
    try:
        declared = tasks.load(task)
        params = declared.params(**question.params)
        tokenizer = _tokenizer(question.tokenizer, question.facts.name)
        report = declared.inspect(params, question.splits, question.facts, tokenizer)
    except MemoryError:
        return {"memory": True}
    except HubtrainError as error:
        if isinstance(error.__cause__, MemoryError):
            return {"memory": True}
        return {
            "error": type(error).__name__,
            "message": error.message[:LONGEST],
            "fix": error.fix[:LONGEST],
        }
    return {"report": asdict(report)}


def _tokenizer(path: str | None, model: str) -> Any:
    """Return a `tokenizers.Tokenizer`; none of none. Raises `BadConfig`."""
    if path is None:
        return None
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(path)
    except Exception as error:  # the library raises plain Exception
        raise BadConfig(f"tokenizer.json of {model} cannot be read: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _limit(memory: int) -> None:
    """Let this process have so many bytes and no more."""
    if sys.platform == "linux":  # elsewhere the kernel takes no notice, or knows no such limit
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))


def main() -> None:
    """Answer one question."""
    task = sys.argv[1]
    tasks.load(task)  # while whoever asks is still finding out what
    question = pickle.load(sys.stdin.buffer)
    _limit(question.memory)
    sys.stdout.write(json.dumps(answer(task, question)))


if __name__ == "__main__":
    main()
