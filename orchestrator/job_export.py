"""A job that this machine knows, as a folder for those who run it themselves elsewhere.

Values in, values out: nothing here prints or asks.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from backends.slurm import export
from backends.slurm.options import SlurmOptions
from backends.slurm.request import SCRIPT
from orchestrator.jobs.client import Client
from orchestrator.settings.layers import FLAGS, Catalog, Layer, merge
from worker import launch, tasks
from worker.contract import ALONE, JobSpec, Parallel
from worker.errors import BadConfig
from worker.params import Params


class JobExport(Params):
    """Export a job."""

    slurm: bool = False
    """A folder with a job script for sbatch, by the --slurm-… settings that jobs have."""

    sky: bool = False
    """A folder with a task of SkyPilot, which finds a cloud for it."""

    sky_accelerators: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+:\d+$")] | None = None
    """GPUs as SkyPilot writes them, as in A100:2; those that the job had when not given."""

    output_folder: str | None = None
    """Folder to make; the project's name with -slurm or -sky when not given."""


@dataclass(frozen=True, slots=True)
class Handed:
    """A folder that was written."""

    folder: Path
    next: str
    """What to type to run it."""


def is_asked(given: Mapping[str, Any]) -> bool:
    """Whether flags ask for a job as a folder, and not for a model."""
    return bool(given.get("slurm") or given.get("sky"))


def hand_over(client: Client, name: str, given: Mapping[str, Any]) -> Handed:
    """Write the folder of a job. Raises `BadConfig`, and `PlanRefused` for what cannot be."""
    settings = merge(Catalog((JobExport, SlurmOptions)), [Layer(FLAGS, dict(given))])
    asked, options = settings.of(JobExport), settings.of(SlurmOptions)
    if asked.slurm and asked.sky:
        raise BadConfig("--slurm and --sky are two folders.", fix="Give one of them.")
    spec = client.record(name).spec
    kind = "sky" if asked.sky else "slurm"
    folder = Path(asked.output_folder or f"{spec.project}-{kind}").absolute()
    if folder.exists():
        raise BadConfig(f"{folder} is there already.", fix="--output-folder ANOTHER")
    job = _fresh(spec, client.clock.new_id())
    if asked.sky:
        gpus = export.accelerators(job, asked.sky_accelerators)
        files = export.of_sky(_on(job, export.count(gpus)), gpus)
        step = f"HF_TOKEN=… sky launch {export.TASK} --secret HF_TOKEN"
    else:
        chosen = export.merged(spec.machine, options)
        files = export.of_slurm(_on(job, chosen.gpus[1]), chosen)
        step = f"sbatch {SCRIPT}"
    _write(folder, files, spec)
    return Handed(folder, f"cd {folder.name} && {step}")


def _fresh(spec: JobSpec, job_id: str) -> JobSpec:
    """Return a job under a new id, with its examples beside it if they are not on the Hub."""
    if spec.files and spec.files.folder:
        raise BadConfig(
            "Files of this machine go along with this job, which a folder does not take yet.",
            fix="Export a job that was made for a backend elsewhere, whose files are on the Hub.",
        )
    data = spec.data.model_copy(update={"folder": export.DATA}) if spec.data.folder else spec.data
    return spec.model_copy(update={"job_id": job_id, "data": data, "output": None})


def _on(job: JobSpec, gpus: int) -> JobSpec:
    """Return a job as it trains on so many GPUs: by one process on each, where it can."""
    if gpus == job.machine.accelerators:
        return job
    task = tasks.load(job.task)
    params = task.params.model_validate(job.params)
    rows = launch.share(
        getattr(params, "batch_size", 1), getattr(params, "gradient_accumulation", 1), max(1, gpus)
    )
    together = gpus > 1 and rows is not None and task.trains_together(params)
    strategy = job.parallel.strategy
    parallel = Parallel(processes=gpus, strategy=strategy) if together else ALONE
    return job.model_copy(update={"parallel": parallel})


def _write(folder: Path, files: Mapping[str, bytes], spec: JobSpec) -> None:
    for path, content in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    if spec.data.folder:
        shutil.copytree(spec.data.folder, folder / export.DATA)
