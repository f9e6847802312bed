"""One explained end, on every surface: what happened, where the result is, its cost, what to type.

Functions from a record, and from what it left on this disk, to text; `output` prints them.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import backends
import worker.tasks
from orchestrator.jobs.records import Record
from orchestrator.jobs.resumable import checkpoint_of
from orchestrator.words import money, size
from worker.contract import EVALUATED, VALID, EndReason, JobSpec, Machine, State, Story
from worker.duration import duration
from worker.hubclient import endpoint
from worker.output import left_by

_WHAT = {
    EndReason.OOM: "out of memory",
    EndReason.BAD_DATA: "the data is not usable",
    EndReason.BAD_CONFIG: "a setting does not work",
    EndReason.GATED_MODEL: "the model is gated",
    EndReason.TOKEN_NO_WRITE: "the token may not write",
    EndReason.PUSH_FAILED: "the model could not be pushed",
    EndReason.BUILD_ERROR: "the machine's image could not be built",
    EndReason.DEADLINE: "the time limit was reached",
    EndReason.COST_CAP: "the money limit was reached",
    EndReason.PREEMPTED: "the machine was taken away",
    EndReason.HUNG: "the trainer fell silent",
    EndReason.USER: "you stopped it",
    EndReason.WORKER_DIED: "the worker died",
    EndReason.PROVIDER: "the provider failed",
    EndReason.NO_ACCELERATOR: "the accelerator does not compute",
    EndReason.SCRIPT_FAILED: "the script failed",
}


LAST_LINES = 8
"""Lines of a failed script that are shown with its end."""


@dataclass(frozen=True, slots=True)
class Next:
    """One thing to type next and what it is for."""

    purpose: str
    command: str


def ending(record: Record, now: datetime) -> list[str]:
    """Return the lines that tell how the job ended, or how it stands if it has not."""
    story, spec = record.story, record.spec
    lines = [_headline(spec, story, now)]
    lines += story.message.splitlines()
    if story.reason is EndReason.SCRIPT_FAILED:
        lines += [f"| {line}" for line in story.detail.splitlines()[-LAST_LINES:]]
    lines += _evaluated(story)
    lines += _made(spec, story)
    if (stopped := _billing(story, spec.machine, now)) is not None:
        lines.append(stopped)
    rows = list(_next_steps(record))
    width = max((len(row.purpose) for row in rows), default=0)
    return lines + [f"{row.purpose:<{width}}  {row.command}" for row in rows]


def _made(spec: JobSpec, story: Story) -> Iterator[str]:
    """Yield where the model is, or what else came of it."""
    if pushed := story.pushed:
        base = spec.model.name if spec.model else ""
        kinds = {"adapter": f"adapter for {base}, ", "model": "whole model, ", "output": ""}
        what = "output " if pushed.what == "output" else "model  "
        yield f"{what} {pushed.url}   {kinds[pushed.what]}{size(pushed.size_bytes)}"
    if story.output:
        yield f"{worker.tasks.load(spec.task).makes:<7} {story.output}"


def _headline(spec: JobSpec, story: Story, now: datetime) -> str:
    machine = spec.machine
    took, cost = duration(story.seconds(now)), money(story.cost(machine.usd_per_hour, now))
    if story.state is State.SUCCEEDED:
        shown = [f"{k.replace('_', ' ')} {v:.3f}" for k, v in _results(spec, story).items()]
        return " · ".join([f"Succeeded in {took}", cost, ", ".join(shown)]).rstrip(" ·")
    if not story.state.final:
        since = story.started_at or story.created_at or now
        return f"{story.state.capitalize()} for {duration((now - since).total_seconds())} · {cost}"
    what = _WHAT.get(story.reason or EndReason.WORKER_DIED, "it ended")
    if story.handle is None:
        return f"Not launched: {what} (reason: {story.reason})"
    step = f" at step {story.progress.step}" if story.progress else ""
    verb = {State.CANCELLED: "Cancelled", State.LOST: "Lost"}.get(story.state, "Stopped")
    return f"{verb}: {what}{step} (reason: {story.reason}) after {took} · {cost}"


def _results(spec: JobSpec, story: Story) -> dict[str, float]:
    """Return the measurements that tell how good the model is; of validation where there was."""
    task, params = worker.tasks.asked(spec)
    names = [measure.name for measure in task.measures(params)]
    found = {name: story.metrics[name] for name in names if name in story.metrics}
    return {k: v for k, v in found.items() if k.startswith(VALID)} or found


def _evaluated(story: Story) -> Iterator[str]:
    """Yield what an evaluation came to, with what it was before where that was measured."""
    at_first = {k: v for m in story.history if m.step == 0 for k, v in m.values.items()}
    for name, value in story.metrics.items():
        if name.startswith(EVALUATED):
            before = f"{at_first[name]:.3f} → " if name in at_first else ""
            yield f"{name.removeprefix(EVALUATED).replace('/', ' ')} {before}{value:.3f}"


def _billing(story: Story, machine: Machine, now: datetime) -> str | None:
    """Say what became of a machine that could have cost something; this one never does."""
    known = machine.backend in backends.names()  # it may be a job of a newer version
    if not known or story.handle is None or not story.state.final:
        return None
    backend = backends.load(machine.backend)
    return _stopped(story, machine, backend.noun, now) if backend.bills else None


def _stopped(story: Story, machine: Machine, noun: str, now: datetime) -> str | None:
    seen = story.machine
    if seen is None:
        return f"{noun} not seen since: hubtrain gc stops it if it is still there"
    if seen.costing:
        return f"STILL COSTING {money(machine.usd_per_hour)}/h ({seen.stage}): hubtrain gc"
    if seen.alive:  # free, so it may take its time
        return None
    stage = f"{noun} {seen.stage.lower().replace('_', ' ')}"
    if not machine.usd_per_hour:
        return f"{stage}, nothing was charged (confirmed)"
    day = "%Y-%m-%d " if seen.at.date() != (story.ended_at or now).date() else ""
    return f"{stage}, billing stopped (confirmed {seen.at.astimezone():{day}%H:%M:%S})"


def _next_steps(record: Record) -> Iterator[Next]:
    if record.story.state.final:
        advise = _ADVICE.get(record.story.reason or EndReason.OK, _read_the_log)
        yield from _go_on(record) if checkpoint_of(record) else advise(record)


def _go_on(record: Record) -> Iterator[Next]:
    """Yield how to go on from the last checkpoint, with what has to be other than it was."""
    resume = f"hubtrain resume {record.job_id}"
    match record.story.reason:
        case EndReason.OOM:
            if smaller := _smaller_passes(record):
                yield Next("less memory", f"{resume} {smaller}")
            yield Next("a bigger machine", f"{resume} --backend …")
        case EndReason.HUNG:
            yield Next("go on", f"{resume} --hang-minutes …")
        case EndReason.TOKEN_NO_WRITE:
            yield Next("make a token", f"{endpoint()}/settings/tokens")
            yield Next("then go on", resume)
        case EndReason.PREEMPTED | EndReason.PROVIDER | EndReason.NO_ACCELERATOR:
            yield Next("go on", resume)
            yield Next("elsewhere", f"{resume} --backend …")
        case _:
            yield Next("go on", resume)
    if record.story.reason is not EndReason.USER:
        yield from _read_the_log(record)


def _smaller_passes(record: Record) -> str:
    """Return settings by which a pass has half the rows and a step as many as before.

    Empty where a pass has one row already.
    """
    _, params = worker.tasks.asked(record.spec)
    rows, passes = (getattr(params, n, 1) for n in ("batch_size", "gradient_accumulation"))
    if rows == 1:
        return ""
    fewer = rows // 2 if rows % 2 == 0 else 1
    return f"--batch-size {fewer} --gradient-accumulation {passes * rows // fewer}"


def _try_it(record: Record) -> Iterator[Next]:
    where = record.story.pushed.repo_id if record.story.pushed else record.story.output
    task, params = worker.tasks.asked(record.spec)
    if where and (command := task.try_it(params, where)):
        yield Next("try it", command)


def _read_the_log(record: Record) -> Iterator[Next]:
    if record.story.handle:
        yield Next("last lines", f"hubtrain logs {record.job_id}")


def _smaller(record: Record) -> Iterator[Next]:
    task, params = worker.tasks.asked(record.spec)
    yield Next("less memory", f"the same command with {task.memory_advice(params)}")
    yield Next("a bigger machine", "hubtrain backends")
    yield from _read_the_log(record)


def _accept(record: Record) -> Iterator[Next]:
    if record.spec.model:
        yield Next("accept its terms", f"{endpoint()}/{record.spec.model.name}")
    yield from _again(record)


def _new_token(record: Record) -> Iterator[Next]:
    yield Next("make a token", f"{endpoint()}/settings/tokens")
    yield from _again(record)


def _push_it(record: Record) -> Iterator[Next]:
    """Yield how to push a model that lies on this disk and has no checkpoint to go on from."""
    push, folder = record.spec.push, record.spec.output
    if push and folder and left_by(Path(folder)) == record.job_id:
        private = "--private " if push.private else ""
        upload = f"hf upload {push.repo_id} {shlex.quote(folder)} {private}--exclude '.*'"
        yield Next("push it", upload)
    yield from _read_the_log(record)


def _more_time(record: Record) -> Iterator[Next]:
    yield Next("more time", "the same command with a larger --max-duration or --max-cost")
    yield from _read_the_log(record)


def _more_silence(record: Record) -> Iterator[Next]:
    yield Next("more patience", "the same command with a larger --hang-minutes")
    yield from _read_the_log(record)


def _again(record: Record) -> Iterator[Next]:
    yield Next("then again", "the same command")


def _another_machine(record: Record) -> Iterator[Next]:
    yield Next("again", "the same command, or with another --backend")
    yield from _read_the_log(record)


def _other_hardware(record: Record) -> Iterator[Next]:
    if record.spec.machine.usd_per_hour:
        yield Next("other machines", "hubtrain backends")
        yield Next("then again", "the same command with another --backend")
    else:
        yield Next("what is here", "hubtrain doctor")
    yield from _read_the_log(record)


def _nothing(record: Record) -> Iterator[Next]:
    yield from ()


_ADVICE: dict[EndReason, Callable[[Record], Iterator[Next]]] = {
    EndReason.OK: _try_it,
    EndReason.OOM: _smaller,
    EndReason.GATED_MODEL: _accept,
    EndReason.TOKEN_NO_WRITE: _new_token,
    EndReason.PUSH_FAILED: _push_it,
    EndReason.DEADLINE: _more_time,
    EndReason.COST_CAP: _more_time,
    EndReason.HUNG: _more_silence,
    EndReason.PREEMPTED: _another_machine,
    EndReason.PROVIDER: _another_machine,
    EndReason.NO_ACCELERATOR: _other_hardware,
    EndReason.USER: _nothing,
}
