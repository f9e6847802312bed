"""The trainer's process: `python -m worker.run --job job.json --output DIR --work DIR`.

It reads the job, trains, and prints events as marked lines on standard output, between the output
of libraries. The mark comes from `HUBTRAIN_EVENT_MARK`. A model, a dataset or a library cannot know
it, so it cannot forge an event. The model is written to `--output`. The only ending that this
process reports is Failed; the supervisor reports that a job has finished. With `--fetch` it only
downloads model and data, which needs `HF_TOKEN` in the environment; for training that is usually
removed (`worker.supervise.gather`). On SIGTERM it finishes its step, writes a checkpoint and exits
with 143.

If several processes train together (`worker.launch`), each of them runs this module. The first one
reports all events, the others only a failure; their output goes to `rank-1.log` and so on in
`--work`.
"""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from pydantic import ValidationError

from worker import tasks
from worker.contract import (
    MARK,
    MARK_VARIABLE,
    EndReason,
    Event,
    Failed,
    JobSpec,
    Metric,
    Progress,
    marked,
)
from worker.errors import OUT_OF_MEMORY, BadConfig, HubtrainError, ProgramFailed
from worker.fetching import fetch
from worker.host import host_of
from worker.prctl import ends_with_parent
from worker.task import Measure, Run, Task

QUIET = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",  # a log is read, and not watched; transformers' too
    "DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "BITSANDBYTES_NOWELCOME": "1",
    "TOKENIZERS_PARALLELISM": "true",
}
"""Environment that turns off the telemetry of libraries, and their questions about it."""

ASKED_TO_STOP = 128 + signal.SIGTERM
DETAIL_CHARACTERS = 4000
MESSAGE_CHARACTERS = 2000
"""An event is one line, and its readers accept at most 64 KiB."""

DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
_NO_CHECKPOINTS = "Make room there, or write no checkpoints: --save-strategy no"

LOST_ANOTHER = ("Connection closed by peer", "Connection reset by peer", "NCCL", "Gloo", "gloo")
"""Parts of torch's messages in a process that waits for another one that has died."""


def main(argv: Sequence[str] | None = None) -> int:
    """Train the job and return the exit code: 0, or its `EndReason`'s."""
    asked = _arguments(argv)
    os.environ.update(QUIET)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: _stop(stop))
    emit = Reporter(Rank.of(os.environ), asked.work)
    try:
        _train(asked, emit, stop)
    except BaseException as error:
        if not isinstance(error, Exception | KeyboardInterrupt):
            raise
        if not isinstance(error, ProgramFailed):  # what it printed says why
            traceback.print_exc()
        if emit.rank.count > 1 and lost_another(error):
            return EndReason.WORKER_DIED.exit_code  # the launcher tells which one died, and how
        failed = explain(error, emit.step)
        emit.fail(failed)
        return failed.reason.exit_code
    return ASKED_TO_STOP if stop.is_set() else EndReason.OK.exit_code


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m worker.run", description=__doc__)
    parser.add_argument("--job", type=Path, required=True, help="the job's spec, job.json")
    parser.add_argument("--output", type=Path, required=True, help="folder for the model")
    parser.add_argument("--work", type=Path, required=True, help="folder for checkpoints")
    parser.add_argument("--evaluate", type=int, metavar="STEPS", help="judge instead of training")
    parser.add_argument("--fetch", action="store_true", help="bring model and data here, only")
    parser.add_argument("--resume", type=Path, help="checkpoint to go on from")
    return parser.parse_args(argv)


def _stop(stop: threading.Event) -> None:
    if stop.is_set():  # asked twice
        raise SystemExit(ASKED_TO_STOP)
    stop.set()


@dataclass(frozen=True, slots=True)
class Rank:
    """The number of this process among those that train together, from the environment."""

    number: int = 0
    count: int = 1

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Rank:
        """Return this process's rank: 0 of 1 if no launcher started it."""
        return cls(int(environ.get("RANK", "0")), int(environ.get("WORLD_SIZE", "1")))


class Reporter:
    """Prints events as marked lines, unbuffered, and remembers the last step.

    All processes but the first write their output to a file and report only a failure.
    """

    def __init__(self, rank: Rank, work: Path) -> None:
        self.rank, self.step = rank, 0
        self._mark = os.environ.pop(
            MARK_VARIABLE, MARK
        )  # removed, so that no library in this process can read it
        self._writing = threading.Lock()
        log = work / f"rank-{rank.number}.log"
        self._out = sys.stdout if rank.number == 0 else _redirect_output(log)

    def __call__(self, event: Event) -> None:
        if isinstance(event, Progress | Metric):
            self.step = event.step
        if self.rank.number == 0:
            self._write(event)

    def fail(self, failed: Failed) -> None:
        """Report why this process fails. The supervisor uses the first report that it gets."""
        if self.rank.number:  # a pipe keeps lines of several writers whole up to 4 KiB
            cut = failed.detail[-DETAIL_CHARACTERS // 4 :]
            failed = failed.model_copy(update={"detail": cut})
        self._write(failed)

    def _write(self, event: Event) -> None:
        with self._writing:
            # A library may not have ended its last line, such as a progress bar.
            self._out.write("\n" + marked(event, self._mark) + "\n")
            self._out.flush()


def _redirect_output(file: Path) -> TextIO:
    """Redirect this process's output to a file, and return the previous standard output."""
    sys.stdout.flush()
    file.parent.mkdir(parents=True, exist_ok=True)
    until_now = os.fdopen(os.dup(1), "w", encoding="utf-8")
    log = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    return until_now


def _train(asked: argparse.Namespace, emit: Reporter, stop: threading.Event) -> None:
    job = JobSpec.model_validate_json(asked.job.read_text(encoding="utf-8"))
    try:
        task = tasks.load(job.task)
        params = task.params.model_validate(job.params)
    except ValidationError as error:
        raise BadConfig("; ".join(map(_one_line, error.errors()))) from error
    except ValueError as error:
        raise BadConfig(str(error)) from error
    if asked.fetch:
        fetch(job, asked.work)
        return
    if not task.runs_program:
        _get_ready(job, task, params, emit.rank, trains=asked.evaluate is None)
    asked.output.mkdir(parents=True, exist_ok=True)
    asked.work.mkdir(parents=True, exist_ok=True)
    run = Run(
        model=job.model,
        data=job.data,
        output=asked.output.absolute(),
        work=asked.work.absolute(),
        emit=emit,
        last_checkpoint=asked.resume.absolute() if asked.resume else None,
        stop=stop,
        headline=(*task.measures(params), Measure("valid_loss"))[0],
        unit=task.unit(params),
        files=job.files,
        project=job.project,
        job_id=job.job_id,
    )
    if asked.evaluate is None:
        task.train(params, run)
    else:
        task.evaluate(params, run, asked.evaluate)


def _get_ready(job: JobSpec, task: Task[Any], params: Any, rank: Rank, *, trains: bool) -> None:
    """Prepare this process for training. Raises `HubtrainError`."""
    from worker.engine.lean import leave_out, unused

    if trains:
        leave_out(unused(params, task.libraries(params)))
    _take_gpu(job, rank)


def _take_gpu(job: JobSpec, rank: Rank) -> None:
    """Select this process's GPU, and join the other processes. Raises `HubtrainError`."""
    lent = host_of(os.environ).accelerators(job.gpus_per_node)
    if rank.count == 1 and lent > 1:  # transformers would divide each batch among all it sees
        seen = os.environ.get("CUDA_VISIBLE_DEVICES") or "0"
        os.environ["CUDA_VISIBLE_DEVICES"] = seen.split(",")[0]
    if lent:
        from worker.engine.devices import require

        require(min(lent, rank.count))
    if rank.count > 1:
        from worker.engine import processes

        ends_with_parent()
        processes.join(job.parallel.model_copy(update={"processes": rank.count}))


def _one_line(error: Any) -> str:
    return f"{'.'.join(map(str, error['loc'])) or 'settings'}: {error['msg']}"


def explain(error: BaseException, step: int = 0) -> Failed:
    """Return the ending for an exception after `step` steps, with a message for the user."""
    failed = _explained(error, step)
    if isinstance(error, ProgramFailed):
        return failed.model_copy(update={"detail": error.last_words})
    detail = "".join(traceback.format_exception(error))[-DETAIL_CHARACTERS:]
    message = failed.message[:MESSAGE_CHARACTERS]
    return failed.model_copy(update={"message": message, "detail": detail})


def _explained(error: BaseException, step: int) -> Failed:
    if isinstance(error, HubtrainError):
        return Failed(reason=error.reason, message=str(error))
    if is_out_of_memory(error):
        return Failed(reason=EndReason.OOM, message=_too_much(error, step))
    if is_disk_full(error):
        when = f"at step {step}" if step else "before the first step was done"
        message = f"The disk of this machine was full {when}. {_NO_CHECKPOINTS}"
        return Failed(reason=EndReason.WORKER_DIED, message=message)
    if isinstance(error, OSError) and error.filename:
        message = f"{error.strerror or error}: {error.filename}"
        return Failed(reason=EndReason.PROVIDER, message=message)
    message = f"The trainer failed: {type(error).__name__}: {error}"
    return Failed(reason=EndReason.WORKER_DIED, message=message)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the error means out of memory, on any device."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError | OSError) and any(w in str(error) for w in OUT_OF_MEMORY)


def is_disk_full(error: BaseException) -> bool:
    """Whether the error means a full disk; torch and safetensors raise errors of their own."""
    return getattr(error, "errno", None) in DISK_FULL or os.strerror(errno.ENOSPC) in str(error)


def lost_another(error: BaseException) -> bool:
    """Whether a process failed because another one that trains with it has died."""
    if type(error).__name__.startswith("Dist"):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in LOST_ANOTHER)


def _too_much(error: BaseException, step: int) -> str:
    """Return the message for out of memory; torch says how much was needed and available."""
    when = f"at step {step + 1}" if step else "before the first step was done"
    said = str(error).splitlines()[0] if str(error) else ""
    return f"Out of memory {when}. {said}".strip()


if __name__ == "__main__":
    sys.exit(main())
