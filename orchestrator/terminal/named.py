"""Jobs as they are named on the command line: by themselves, or all of a sweep by its name."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.jobs.client import Client
from orchestrator.sweep import spec
from worker.errors import BadConfig


def trials_of(client: Client, name: str) -> list[str]:
    """Return the jobs of a sweep, the first trial first; none where no sweep is called so.

    Raises `BadConfig` for a name that is a job's by itself, too.
    """
    if "://" in name:
        return []
    trials = [record.job_id for record in reversed(client.records.of_sweep(name))]
    if trials and (jobs := client.records.ids(name)):
        raise BadConfig(
            f"{name} is a sweep, and the project of {', '.join(jobs)}.",
            fix="Type the jobs that you mean; hubtrain jobs lists them.",
        )
    return trials


def sweep_named(client: Client, name: str) -> spec.SweepSpec | None:
    """Return the sweep of this name; none where none is called so. Raises as `trials_of`."""
    if name not in spec.names():
        return None
    trials_of(client, name)
    return spec.known(name)


def singly(client: Client, names: Sequence[str]) -> list[str]:
    """Return the names with those of sweeps replaced by their jobs. Raises `BadConfig`."""
    sweeps = spec.names()
    return [
        job
        for name in names
        for job in trials_of(client, name) or ([] if name in sweeps else [name])
    ]
