"""A copy of hubtrain with a quick task planted in it, whose time and machines can be set.

The command line, the backends, the supervisor and the trainer's process are the real ones. What is
planted is in `planted/`; two lines at the end of a module make its clock, and its page, ours.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
ROOMS = ("orchestrator", "worker", "backends", "space_template")
PLANTED = Path(__file__).parent / "planted"

SPEED = 20.0
"""Seconds of the house in one of ours."""

TASK = "from worker.planted.quick import TASK as TASK\n"

OURS = {
    "worker/clock.py": "from worker.planted.hurry import SystemClock as SystemClock",
    "worker/page/__init__.py": "from worker.planted.page import serve as serve",
}
"""What stands at the end of a module of the copy, and takes the place of what it defines."""

_NOW = "__import__('worker.clock').clock.SystemClock().now()"
CLOCKLESS = {
    "worker/contract/events.py": ("datetime.now(UTC)", _NOW),
    "worker/bootstrap.py": ("time.time()", f"{_NOW}.timestamp()"),
}
"""What asks for the time without a clock that could be given to it, and what it asks here."""


@dataclass(frozen=True)
class House:
    """Sources in `folder`, and what their processes read about the world they are in."""

    folder: Path

    @property
    def _file(self) -> Path:
        return self.folder / "conditions.json"

    def build(self) -> House:
        """Copy the sources and plant what is ours."""
        leave = shutil.ignore_patterns("__pycache__")
        for room in ROOMS:
            shutil.copytree(ROOT / room, self.folder / room, ignore=leave)
        worker = self.folder / "worker"
        shutil.copytree(PLANTED, worker / "planted", ignore=leave)
        (worker / "tasks" / "quick.py").write_text(TASK, "utf-8")
        (worker / "planted" / "where.py").write_text(f"FILE = {str(self._file)!r}\n", "utf-8")
        for module, line in OURS.items():
            with (self.folder / module).open("a", encoding="utf-8") as file:
                file.write(f"\n\n{line}\n")
        for module, (asked, ours) in CLOCKLESS.items():
            text = (self.folder / module).read_text("utf-8")
            assert asked in text, f"{module} asks for the time in other words now"
            (self.folder / module).write_text(text.replace(asked, ours), "utf-8")
        shutil.copy(ROOT / "pyproject.toml", self.folder)
        self.conditions()
        return self

    def conditions(self, **changed: Any) -> None:
        """Set the conditions that all processes of the house find from now on.

        `laptop_jump`, `worker_jump`: seconds by which a clock is wrong. `work`: folder that workers
        write in. `diary`: file in which trainers say where they are. `page`: `real` for gradio's.
        """
        told = {"epoch": _EPOCH, "speed": SPEED, **changed}
        arriving = self._file.with_suffix(".new")
        arriving.write_text(json.dumps(told), encoding="utf-8")
        arriving.replace(self._file)


_EPOCH = time.time()
