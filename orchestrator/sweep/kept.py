"""A sweep as the records of this machine have it, for who looks at it and does not run it."""

from __future__ import annotations

from orchestrator.jobs.client import Client
from orchestrator.sweep.spec import SweepSpec
from orchestrator.sweep.trial import Trial


def trials(client: Client, spec: SweepSpec) -> list[Trial]:
    """Return the trials that have jobs, by number: none were refused, or are still to begin."""
    found = [
        Trial(
            record.spec.trial.number,
            {one.setting: record.spec.params.get(one.setting) for one in spec.space},
            record,
        )
        for record in client.records.of_sweep(spec.name)
        if record.spec.trial
    ]
    return sorted(found, key=lambda trial: trial.number)
