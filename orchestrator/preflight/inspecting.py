"""A task's look at the examples, taken in a process that cannot take the laptop with it.

See `worker.inspecting`, which is that process. It is started before there is anything to ask, so
that it is ready by then, and it knows no secret.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.words import size
from worker.bars import Bars
from worker.duration import duration
from worker.errors import BadConfig, BadData, HubtrainError
from worker.inspecting import InspectionRequest
from worker.splits import Split
from worker.task import DataReport, Finding, ModelFacts, Part, Rendered, Task

_HANDED_ON = """
PATH PYTHONPATH PYTHONHOME LD_LIBRARY_PATH SYSTEMROOT TEMP TMP TMPDIR LANG LC_ALL
"""
HANDED_ON = frozenset(_HANDED_ON.split())
"""What the process gets of the environment."""

_KINDS: dict[str, type[HubtrainError]] = {kind.__name__: kind for kind in (BadData, BadConfig)}


@dataclass(frozen=True, slots=True)
class Budget:
    """What a look may take."""

    seconds: float = 60.0
    """Ten times what the most data that is shown takes on two cores."""

    memory: int = 2 << 30


class Inspector:
    """The process: a context that ends it. It answers one question."""

    def __init__(self, task: Task[Any], budget: Budget) -> None:
        self._task, self._budget = task, budget
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> Inspector:
        environ = {k: v for k, v in os.environ.items() if k.upper() in HANDED_ON}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "worker.inspecting", self._task.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environ,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def inspect(
        self,
        params: Any,
        splits: Mapping[str, Split],
        facts: ModelFacts,
        tokenizer: str | None,
    ) -> DataReport:
        """Return what the task makes of the examples. Raises `BadData`, `BadConfig`."""
        listed = {role: replace(split, rows=list(split.rows)) for role, split in splits.items()}
        memory = self._budget.memory
        question = InspectionRequest(
            params.model_dump(exclude_unset=True), listed, facts, tokenizer, memory
        )
        try:
            said, trouble = self._process.communicate(pickle.dumps(question), self._budget.seconds)
        except subprocess.TimeoutExpired as late:
            raise self._too_much(facts, duration(self._budget.seconds)) from late
        return self._understood(said, trouble, facts)

    def _understood(self, said: bytes, trouble: bytes, facts: ModelFacts) -> DataReport:
        try:
            told: dict[str, Any] = json.loads(said)
        except ValueError:
            if self._process.returncode < 0 or b"memory" in trouble:  # refused inside a library
                told = {"memory": True}
            else:
                last = trouble.decode(errors="replace").strip().rpartition("\n")[2]
                raise HubtrainError(f"The examples could not be looked at: {last}") from None
        if told.get("memory"):
            raise self._too_much(facts, f"{size(self._budget.memory)} of memory")
        if "error" in told:
            kind = _KINDS.get(told["error"], HubtrainError)
            raise kind(_one_line(told["message"]), fix=_one_line(told["fix"]))
        found = told["report"]
        findings = tuple(_finding(**finding) for finding in found.pop("findings"))
        example = _rendered(found.pop("example"))
        bars = tuple(_bars(**one) for one in found.pop("bars"))
        return DataReport(findings=findings, example=example, bars=bars, **found)

    def _too_much(self, facts: ModelFacts, budget: str) -> BadData:
        why, fix = self._task.over_budget(facts)
        text = f"a first look at the examples took more than {budget} and was stopped: {why}."
        return BadData(text, fix=fix)


def _finding(*, level: str, topic: str, text: str, fix: str) -> Finding:
    return Finding(level, topic, _one_line(text), _one_line(fix))


def _rendered(told: Mapping[str, Any] | None) -> Rendered | None:
    if told is None:
        return None
    parts = tuple(Part(**part) for part in told["parts"])
    return Rendered(_one_line(told["where"]), parts, _one_line(told["note"]))


def _bars(*, title: str, bars: list[tuple[str, int]]) -> Bars:
    return Bars(_one_line(title), tuple((_one_line(name), count) for name, count in bars))


def _one_line(text: str) -> str:
    """Return text in which a line break is seen: names in data must not look like more findings."""
    return text.replace("\r", "\\r").replace("\n", "\\n")
