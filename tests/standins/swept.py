"""A sweep that has been run: three trials of an hour at a dollar, the second of them the best."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from orchestrator.settings.sweep import SweepSettings
from orchestrator.sweep.spec import SweepSpec
from worker.contract import (
    Created,
    DataRef,
    Event,
    Finished,
    JobSpec,
    Launched,
    Machine,
    Metric,
    Observed,
    Started,
    Trial,
)
from worker.task import Measure

NAME = "bot"
TRIED = {1e-5: 2.5, 3e-5: 1.25, 1e-4: 4.0}
"""The loss that each learning rate came to."""

IDS = ("trial0", "trial1", "trial2")


def sweep() -> SweepSpec:
    """Return the sweep."""
    return SweepSpec(
        name=NAME,
        task="llm",
        folder="/",
        settings={},
        origins={},
        tried={"lr": ",".join(map(str, TRIED))},
        how=SweepSettings(),
        max_usd=5.0,
        measure=Measure("loss", "lower"),
    )


def trials(*projects: str) -> Iterator[tuple[JobSpec, list[Event]]]:
    """Yield its trials under these names, each with what it told."""
    began = datetime.now(UTC) - timedelta(hours=2)
    over = began + timedelta(hours=1)
    gone = Observed(stage="COMPLETED", alive=False, costing=False, at=over, source="laptop")
    for number, (project, (lr, loss)) in enumerate(zip(projects, TRIED.items(), strict=True)):
        spec = JobSpec(
            job_id=IDS[number],
            project=project,
            task="llm",
            params={"trainer": "sft", "lr": lr, "model": "tiny"},
            data=DataRef(),
            machine=Machine(backend="jobs", flavor="t4-small", usd_per_hour=1.0),
            trial=Trial(sweep=NAME, number=number),
        )
        job_id = spec.job_id
        told: list[Event] = [
            Created(job_id=job_id, at=began, source="laptop"),
            Launched(handle=f"jobs://ann/{job_id}", at=began, source="laptop"),
            Started(job_id=job_id, at=began, seq=1),
            Metric(step=1, values={"loss": loss}, at=began, seq=2),
            Finished(at=over, seq=3),
            gone,
        ]
        yield spec, told
