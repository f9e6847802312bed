"""The end of a job as people read it, for every reason there is."""

from __future__ import annotations

import os
import shlex
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.jobs.records import Record
from orchestrator.terminal.ending import ending
from worker.contract import (
    Checkpoint,
    Created,
    DataRef,
    EndReason,
    Event,
    Failed,
    Finished,
    JobSpec,
    Launched,
    Machine,
    Metric,
    ModelRef,
    Observed,
    Progress,
    Pushed,
    PushTarget,
    Started,
    Stopped,
)
from worker.output import put

GOLDEN = Path(__file__).parent / "golden" / "endings.txt"
REWRITE = "HUBTRAIN_REWRITE_GOLDEN"
START = datetime(2026, 1, 2, 12, tzinfo=UTC)
STOPPED = {EndReason.DEADLINE, EndReason.COST_CAP, EndReason.PREEMPTED, EndReason.USER}


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def record(
    *events: Event, backend: str = "spaces", usd: float = 1.0, launched: bool = True
) -> Record:
    spec = JobSpec(
        job_id="k4x7qp",
        project="support-bot",
        owner="ann",
        task="llm",
        params={"trainer": "sft", "batch_size": 4},
        model=ModelRef(name="Qwen/Qwen3-1.7B"),
        data=DataRef(),
        machine=Machine(backend=backend, flavor="a10g-small", usd_per_hour=usd),
    )
    handle = f"{backend}://ann/support-bot-k4x7qp"
    created = Created(job_id="k4x7qp", at=at(0), source="laptop")
    there = (Launched(handle=handle, at=at(0), source="laptop"),) if launched else ()
    return Record(spec, (created, *there, *events))


RUN = (
    Started(job_id="k4x7qp", at=at(2)),
    Progress(step=168, total_steps=300, at=at(10)),
    Metric(step=168, values={"loss": 1.132}, at=at(10)),
)
PAUSED = Observed(stage="PAUSED", alive=False, costing=False, at=at(22), source="laptop")
STILL = Observed(stage="RUNNING", alive=True, costing=True, at=at(22), source="laptop")
PUSHED = Pushed(
    repo_id="ann/support-bot",
    url="https://hub/ann/support-bot",
    what="adapter",
    size_bytes=38_000_000,
    at=at(20),
)
VALID = Metric(step=300, values={"valid_loss": 1.081, "valid_perplexity": 2.948}, at=at(20))


def ended(reason: EndReason) -> Record:
    if reason is EndReason.OK:
        return record(*RUN, VALID, PUSHED, Finished(at=at(21)), PAUSED)
    message = f"What happened, in words ({reason})."
    kind = Stopped if reason in STOPPED else Failed
    return record(*RUN, kind(reason=reason, message=message, at=at(12)), PAUSED)


SENT = Checkpoint(step=160, where=f"ann/support-bot@{'c' * 40}", at=at(9))


def resumable(reason: EndReason) -> Record:
    """Return a job that had sent a checkpoint before it ended."""
    before = ended(reason)
    return Record(before.spec, (*before.events[:-2], SENT, *before.events[-2:]))


CASES = {
    **{str(reason): ended(reason) for reason in EndReason},
    **{
        f"{reason}, resumable": resumable(reason)
        for reason in (
            *(EndReason.OOM, EndReason.DEADLINE, EndReason.PREEMPTED, EndReason.USER),
            *(EndReason.HUNG, EndReason.TOKEN_NO_WRITE),
        )
    },
    "ok, on this machine": record(
        *RUN, Finished(output="/home/ann/bot", at=at(21)), PAUSED, backend="local", usd=0.0
    ),
    "ok, on free hardware": record(*RUN, PUSHED, Finished(at=at(21)), PAUSED, usd=0.0),
    "ok, still costing": record(*RUN, PUSHED, Finished(at=at(21)), STILL),
    "ok, machine not seen since": record(*RUN, PUSHED, Finished(at=at(21))),
    "ok, seen two days later": record(
        *RUN, PUSHED, Finished(at=at(21)), PAUSED.model_copy(update={"at": at(2 * 1440)})
    ),
    "lost": record(*RUN, PAUSED),
    "not launched": record(
        Failed(reason=EndReason.PROVIDER, message="No a10g left.", at=at(1), source="laptop"),
        launched=False,
    ),
    "queued": record(),
    "running": record(*RUN),
}


def test_every_end_says_what_happened_where_things_are_what_it_cost_and_what_to_type(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To accept a change: HUBTRAIN_REWRITE_GOLDEN=1 pytest tests/test_ending.py."""
    monkeypatch.setenv("HF_ENDPOINT", "https://hub")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    said = "\n".join(
        f"# {name}\n" + "".join(f"{line}\n" for line in ending(job, at(30)))
        for name, job in CASES.items()
    )
    if os.environ.get(REWRITE):
        GOLDEN.write_text(said, encoding="utf-8")
    assert said == GOLDEN.read_text(encoding="utf-8")


def test_a_model_that_lies_here_and_could_not_be_pushed_is_pushed_by_hand(tmp_path: Path) -> None:
    """One that somebody else's job left there is not offered to be pushed."""
    folder, model = tmp_path / "my bot", tmp_path / "model"
    model.mkdir()
    (model / "model.safetensors").write_text("x")
    job = ended(EndReason.PUSH_FAILED)
    target = PushTarget(repo_id="ann/bot", private=True)
    job = replace(job, spec=job.spec.model_copy(update={"push": target, "output": str(folder)}))
    put(model, folder, job.job_id, overwrite=False)
    command = ending(job, at(30))[-2].split(maxsplit=2)[-1]
    assert shlex.split(command) == [
        *("hf", "upload", "ann/bot", str(folder), "--private", "--exclude", ".*"),
    ]
    put(model, folder, "abcdef", overwrite=True)
    assert not any("hf upload" in line for line in ending(job, at(30)))
