"""A script of the user's, run as it is on a machine; AutoTrain gave it the name.

It starts from no model and reads no rows that hubtrain knows of. What it leaves in
`HUBTRAIN_OUTPUT`, or in `output/`, is what comes of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from worker.task import (
    DataReport,
    Finding,
    Footprint,
    Measure,
    ModelFacts,
    Run,
    Sample,
    Splits,
    Task,
)
from worker.tasks.spacerunner import requirements
from worker.tasks.spacerunner.params import ScriptParams

SCRIPT = '''\
"""Greets; what it leaves in HUBTRAIN_OUTPUT is what comes of it."""

import argparse
import os
import pathlib

parser = argparse.ArgumentParser()
parser.add_argument("--name", default="world")
greeting = f"Hello, {parser.parse_args().name}."
print(greeting)
(pathlib.Path(os.environ["HUBTRAIN_OUTPUT"]) / "greeting.txt").write_text(greeting + "\\n")
'''


class SpacerunnerTask(Task[ScriptParams]):
    """Running of scripts."""

    name = "spacerunner"
    help = "Run any script on a rented machine."
    params = ScriptParams
    also_called: ClassVar[Mapping[str, Mapping[str, Any]]] = {"script": {}}
    extras = ("worker",)

    starts_from_model = False
    reads_rows = False
    runs_program = "script"
    makes: ClassVar[Literal["model", "output"]] = "output"
    model_files = ()

    def sample(self, given: Mapping[str, Any]) -> Sample:
        """Return a script that leaves a file."""
        return Sample(
            row="work/script.py, a program of yours",
            files={"work/script.py": SCRIPT},
            settings={"script_path": "work", "args": ["--name", "you"]},
        )

    def files(self, params: ScriptParams) -> tuple[str, ...]:
        """Return the folder, or the single file."""
        return (params.script_path,)

    def inspect(
        self, params: ScriptParams, splits: Splits, facts: ModelFacts, tokenizer: Any
    ) -> DataReport:
        """Return what would be installed for it. Raises `BadConfig`."""
        if not Path(params.script_path).expanduser().exists():  # said by the setting
            return DataReport()
        listed = requirements.read(Path(params.script_path).expanduser() / requirements.FILE)
        return DataReport(tuple(_installed(listed)))

    def footprint(
        self,
        params: ScriptParams,
        facts: ModelFacts,
        data: DataReport,
        memory: float | None = None,
    ) -> Footprint:
        """Return what hubtrain itself takes."""
        return Footprint(2e8, 3e8, 5e8, "hubtrain's own; what the script takes is not known")

    def flops(self, params: ScriptParams, facts: ModelFacts, data: DataReport) -> float:
        """Return nothing: what a script computes nobody knows."""
        return 0.0

    def seconds(self, params: ScriptParams, facts: ModelFacts, data: DataReport) -> float:
        """Return that nobody knows."""
        return math.inf

    def shown(self, params: ScriptParams) -> Mapping[str, Any]:
        """Return what is run, and with what."""
        names = ("script_path", "args", "env", "python_version")
        given = {name: getattr(params, name) for name in names if getattr(params, name)}
        return {"script": params.entry, **given}

    def memory_advice(self, params: ScriptParams) -> str:
        """Return what makes a script smaller."""
        return "a script that holds less at a time"

    def measures(self, params: ScriptParams) -> tuple[Measure, ...]:
        """Return none: what a script measures is in its own output."""
        return ()

    def training(self) -> Callable[[ScriptParams, Run], object]:
        """Return what runs a script to its end."""
        from worker.tasks.spacerunner.running import run_script

        return run_script


def _installed(listed: requirements.Listed | None) -> list[Finding]:
    if listed is None or not listed.wanted:
        text = f"no {requirements.FILE} that asks for anything: nothing is installed for the script"
        return [Finding("ok", "files", text)]
    first = ", ".join(listed.wanted[:4])
    more = f" and {len(listed.wanted) - 4} more" if len(listed.wanted) > 4 else ""  # noqa: PLR2004
    found = [Finding("ok", "files", f"installed there before the script starts: {first}{more}")]
    if listed.unwanted:
        names = ", ".join(f"-{name}" for name in listed.unwanted)
        text = f"{names}: nothing is uninstalled, since the script gets packages of its own"
        found.append(Finding("warn", "files", text))
    return found


TASK = SpacerunnerTask()
