"""A sweep that goes on by itself: a process of this machine makes its trials, and outlives others.

It is told apart from one that somebody watches by nothing but that: the same lock keeps two from
running it, and `halt` ends it.
"""

from __future__ import annotations

import os
import subprocess
from threading import Thread

from orchestrator import hosted
from orchestrator.jobs.client import Client
from orchestrator.subprocess_call import answer_in, command_of
from orchestrator.sweep.chosen import search_of
from orchestrator.sweep.ending import left, place_best
from orchestrator.sweep.run import Running
from orchestrator.sweep.spec import SweepSpec, alone, folder_of
from worker.detached import detached
from worker.errors import HubtrainError

LOG = "run.log"


def start(client: Client, spec: SweepSpec) -> None:
    """Write a sweep down, and let a process run it. Returns once that has begun.

    Raises `HubtrainError`, and `BadConfig` where another process runs it already.
    """
    if client.guest is not None:
        raise hosted.no_programs("a sweep")
    with alone(spec.name):
        spec.write()
    environ = {**os.environ} | ({"HF_TOKEN": client.token} if client.token else {})
    with (folder_of(spec.name) / LOG).open("w+b") as log:
        process: subprocess.Popen[bytes] = subprocess.Popen(
            command_of(__package__, spec.name),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=spec.folder,
            env=environ,
            **detached(),
        )
        assert process.stdout is not None
        with process.stdout as told:
            answer_in(told.readline(), process, log)
    Thread(target=process.wait, daemon=True).start()  # or it would stay as a zombie


def run(client: Client, spec: SweepSpec) -> None:
    """Run a sweep to its end, and keep what came of it. What goes wrong ends it early."""
    running, placed = Running(client, spec, search_of(spec)), None
    try:
        running.run()
        placed = place_best(running)
    except HubtrainError as error:
        running.ended_early = running.ended_early or str(error)
    except Exception:
        running.ended_early = f"it was cut short; {folder_of(spec.name) / LOG} says why"
        raise
    finally:
        left(running, placed)
