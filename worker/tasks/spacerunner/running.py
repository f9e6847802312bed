"""Runs a script to its end, where it finds its files, its variables and a place for its output."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from worker import secret_variables
from worker.contract import EndReason
from worker.errors import OUT_OF_MEMORY, BadConfig, ProgramFailed
from worker.folder import OUTPUT, unpack
from worker.program import Ended, run_program
from worker.reading import local_files
from worker.task import Run
from worker.tasks.spacerunner.environment import python_for
from worker.tasks.spacerunner.params import ScriptParams

_OURS = ("HUBTRAIN_", "PYTHONSAFEPATH")
"""What the worker's own processes are told, and the script is not."""

_SOURCES = str(Path(__file__).parents[3])


def run_script(params: ScriptParams, run: Run) -> None:
    """Run the script. Raises `ProgramFailed` where it does not end well."""
    folder = _arrived(run)
    environ = environ_of(os.environ, params, run)

    def do(what: str, command: Sequence[str]) -> None:
        ended = run_program(what, command, folder, environ, run.emit)
        if ended.code and not run.stop.is_set():
            raise ProgramFailed(f"{what} failed: exit code {ended.code}.", ended.last_words)

    python = python_for(folder, run.work, params.python_version, do)
    if run.stop.is_set():
        return
    command = _command(python, folder / params.entry, params.args)
    try:
        ended = run_program(f"running {params.entry}", command, folder, environ, run.emit)
    finally:
        _bring(folder / OUTPUT, run.output)
    if not run.stop.is_set():
        judge(params.entry, ended)


def judge(script: str, ended: Ended) -> None:
    """Raise `ProgramFailed` for a bad end. A killed script takes this process along."""
    code, said = ended.code, ended.last_words
    if code == 0:
        return
    if sys.platform != "win32" and code == -signal.SIGKILL:
        signal.raise_signal(signal.SIGKILL)  # the supervisor knows whether memory ran out
    if any(word in said for word in (*OUT_OF_MEMORY, "MemoryError")):
        message = f"{script} ran out of memory: exit code {code}."
        raise ProgramFailed(message, said, reason=EndReason.OOM)
    if code > 0:
        raise ProgramFailed(f"{script} ended with exit code {code}.", said)
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    raise ProgramFailed(f"{script} was killed by {name}.", said)


def environ_of(environ: Mapping[str, str], params: ScriptParams, run: Run) -> dict[str, str]:
    """Return what a script finds in its environment."""
    kept = {name: value for name, value in environ.items() if not name.startswith(_OURS)}
    paths = kept.pop("PYTHONPATH", "").split(os.pathsep)
    if others := [path for path in paths if path and path != _SOURCES]:
        kept["PYTHONPATH"] = os.pathsep.join(others)
    steps = {"HUBTRAIN_MAX_STEPS": str(params.max_steps)} if params.max_steps else {}
    return {
        **kept,
        **secret_variables.unpacked(environ),
        **steps,
        "HUBTRAIN_OUTPUT": str(run.output),
    }


def _arrived(run: Run) -> Path:
    """Return a new folder with what went along with the job."""
    folder = run.work / "script"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if run.files is None:
        raise BadConfig("no script goes along with this job.")
    for path in local_files(run.files)["train"]:
        if path.suffix == ".zip":
            unpack(path, folder)
        else:
            shutil.copyfile(path, folder / path.name)
    return folder


def _command(python: str, script: Path, args: Sequence[str]) -> list[str]:
    if not script.is_file():
        raise BadConfig(f"{script.name} is not among the files that were sent.")
    return [*(["bash"] if script.suffix == ".sh" else [python]), str(script), *args]


def _bring(made: Path, output: Path) -> None:
    """Move what lies in a script's own folder of output to where it is kept."""
    if not made.is_dir():
        return
    for path in made.iterdir():
        there = output / path.name
        if not there.exists():
            shutil.move(path, there)
        elif path.is_dir():  # it wrote into both
            shutil.copytree(path, there, dirs_exist_ok=True)
        else:
            shutil.copyfile(path, there)
