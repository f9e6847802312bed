"""Has the model evaluated by its task, in a process of its own: before training, and after it.

By then the trained model is on the Hub, and whatever becomes of its evaluation it stays there.
"""

from __future__ import annotations

import json
import sys

from worker.contract import Ending, EndReason, Failed, Finished
from worker.host import Host
from worker.supervise.live import Live
from worker.supervise.watch import watch
from worker.task import EVALUATION_FILE


def before(live: Live) -> Ending | None:
    """Let the task look at what will be evaluated; returns the ending of a job that ends by it.

    That is one that asks for what there is not, or that was stopped. Other failures are told.
    """
    ending = watch(live, _command(live.host, 0))
    wrong = isinstance(ending, Failed) and ending.reason is EndReason.BAD_CONFIG
    if isinstance(ending, Finished):
        return None
    if wrong or not isinstance(ending, Failed):
        return ending
    live.journal.log(f"The base model could not be evaluated: {ending.message}")
    return None


def after(live: Live) -> str:
    """Evaluate the trained model; returns what went wrong, or nothing."""
    progress = live.story().progress
    ending = watch(live, _command(live.host, max(1, progress.step if progress else 1)))
    if isinstance(ending, Finished):
        return ""
    failed = f"the evaluation failed: {ending.message}" if ending.message else "it was stopped"
    live.journal.log(f"The model is trained, and {failed}")
    file = live.host.model / EVALUATION_FILE
    file.write_text(json.dumps({"failed": ending.message or failed}) + "\n", encoding="utf-8")
    return failed


def _command(host: Host, step: int) -> list[str]:
    paths = ["--job", host.job_file, "--output", host.model, "--work", host.work]
    asked = ["--evaluate", str(step), *map(str, paths)]
    return [sys.executable, "-P", "-m", "worker.run", *asked]
