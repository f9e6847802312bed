"""Several processes that train together, started as the supervisor starts them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from worker import launch
from worker.contract import MARK_VARIABLE, Event, JobSpec, Metric, Parallel, from_marked

ROOT = Path(__file__).parent.parent.parent
TWO = Parallel(processes=2)


def together(asked: JobSpec, folder: Path, start: Path | None = None) -> list[Event]:
    """Train in several processes, as the supervisor starts them; return what they told.

    They go on from the checkpoint `start` if there is one.
    """
    folder.mkdir()
    (folder / "job.json").write_text(asked.model_dump_json())
    places = ["--job", folder / "job.json", "--output", folder / "output", "--work", folder]
    places += ["--resume", start] if start else []
    environ = {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", MARK_VARIABLE: "@mark "}
    ended = subprocess.run(
        launch.command(asked.parallel, [*map(str, places)], cores=2),
        env=os.environ | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    for noise in ("find_unused_parameters", "it/s]"):
        assert noise not in ended.stdout, ended.stdout
    return [e for line in ended.stdout.splitlines() if (e := from_marked(line, "@mark "))]


def curve(events: Sequence[Event], name: str) -> dict[int, float]:
    """Return a measurement by steps; each is told once."""
    told = [(e.step, e.values[name]) for e in events if isinstance(e, Metric) if name in e.values]
    assert len(told) == len(dict(told)), f"{name} is told twice"
    return dict(told)
