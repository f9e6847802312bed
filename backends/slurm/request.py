"""What a Slurm job will be, as a value: its folder, the files in it, and its script."""

from __future__ import annotations

import hashlib
import math
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files as package_files
from pathlib import PurePosixPath
from typing import Any

from backends.errors import PlanRefused
from backends.image import TORCH_FILE, image_files
from backends.slurm.cluster import Cluster
from backends.slurm.flavors import Ask
from backends.slurm.options import SlurmOptions
from worker.contract import JOB_FILE, EndReason, JobSpec
from worker.home import home

NAME = "hubtrain-"
"""What the names of our jobs in Slurm begin with."""

SCRIPT = "job.sh"
ENVIRONMENT = "environment.sh"
WHOLE = "whole"
"""The last of a job's files, so that a folder which has it has them all."""

LOG = "log.txt"

PACKAGES = ("requirements.txt", "constraints.txt", TORCH_FILE)
_START_SECONDS = 300.0
"""What a wall time allows for until the worker's own time begins."""

_WARN_SECONDS = 300
"""How long before the end of its wall time a job is told, where nobody says how long that is."""


@dataclass(frozen=True, slots=True, repr=False)
class SlurmRequest:
    """A batch job that runs one job of ours."""

    job: JobSpec
    options: SlurmOptions
    folder: str
    """Of the job: an absolute path, or one that is relative to the home on the login node."""

    environment: str | None
    """Name of the environment that is made for it; none where it has one."""

    files: Mapping[str, bytes] = field(repr=False)
    """Code and settings in its folder, by path, without the script."""

    @property
    def cluster(self) -> Cluster:
        """Where it is submitted."""
        return Cluster(self.options.slurm_host)

    @property
    def name(self) -> str:
        """Its name in Slurm."""
        return f"{NAME}{self.job.job_id}"

    @property
    def script(self) -> str:
        """The job script, as anybody could submit it in the job's folder."""
        return "".join(f"{line}\n" for line in _script(self))

    @property
    def steps(self) -> tuple[str, ...]:
        """What `launch` does, in order."""
        made = f"an environment of its own, {self.environment}, made unless it is there"
        return (
            f"copy worker and job to {self.folder} on {self.cluster.where}",
            f"sbatch {SCRIPT}: {' '.join(asked(self, self.name)).replace('--', '')}",
            f"  with {made if self.environment else _python(self)}",
            "  its secrets in a file that only you can read, until it has read them",
        )

    def __repr__(self) -> str:
        return "\n".join([f"Slurm job {self.name}", *(f"  {step}" for step in self.steps)])

    def to_json(self) -> dict[str, Any]:
        """Return the same as plain data, for `--json`."""
        return {
            "name": self.name,
            "host": self.options.slurm_host,
            "folder": self.folder,
            "environment": self.environment,
            "script": self.script,
            "steps": list(self.steps),
            "job": self.job.model_dump(mode="json"),
        }


def plan(job: JobSpec) -> SlurmRequest:
    """Return the Slurm job that runs `job`. Raises `PlanRefused` for what contradicts itself."""
    options = SlurmOptions.model_validate(job.machine.options)
    _refuse_two_wishes(Ask.of(job.machine.flavor or ""), options)
    whole = image_files(job.extras or (job.task,), job.machine.accelerators)
    files = {path: text for path, text in whole.items() if path.startswith("worker/")}
    environment = None
    if options.slurm_host and not options.slurm_python:
        packages = {path: whole[path] for path in PACKAGES}
        script = (package_files("backends.slurm") / ENVIRONMENT).read_bytes()
        files |= {**packages, ENVIRONMENT: script}
        environment = _named_by(packages)
    files[JOB_FILE] = job.model_dump_json(indent=2).encode()
    return SlurmRequest(job, options, f"{root(options)}/{job.job_id}", environment, files)


def root(options: SlurmOptions) -> str:
    """Return the folder of all jobs."""
    if options.slurm_host:
        return (options.slurm_folder or "hubtrain").removeprefix("~/").rstrip("/")
    if options.slurm_folder:
        from pathlib import Path

        return str(Path(options.slurm_folder).expanduser().absolute())
    return str(home() / "runs")


def _refuse_two_wishes(ask: Ask, options: SlurmOptions) -> None:
    """Refuse options that say other than the flavor."""
    kind, gpus = options.gpus
    if options.slurm_partition and ask.partition not in {"", options.slurm_partition}:
        raise PlanRefused(
            f"--slurm-partition {options.slurm_partition} is not the partition {ask.partition}.",
            fix=f"leave it out, or --backend slurm-{options.slurm_partition}",
        )
    if gpus and (gpus != ask.gpus or kind not in {None, ask.kind}):
        wanted = Ask(ask.partition, kind or ask.kind, gpus)
        raise PlanRefused(
            f"{gpus} GPUs are asked for, and {ask.name} has {ask.gpus}.",
            fix=f"--backend slurm-{wanted.name}",
        )


def _named_by(packages: Mapping[str, bytes]) -> str:
    """Return a name that follows from the packages of an environment."""
    told = hashlib.sha256(b"\0".join(packages[path] for path in PACKAGES))
    return told.hexdigest()[:12]


def _script(request: SlurmRequest) -> Iterator[str]:
    """Yield the lines of the job script. It holds no secret: everybody may see it."""
    yield "#!/bin/bash -l"
    yield from (f"#SBATCH {option}" for option in asked(request, request.name))
    yield ""
    yield f"# {request.job.project}: a job of hubtrain, in the folder of this script."
    yield "number=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}"
    yield "number=${number:-$SLURM_JOB_ID}"
    yield "if [ -e whole ]; then  # submitted by hubtrain: should Slurm have it twice, one runs"
    yield '    echo "$number" >"number.$number"'
    yield '    ln "number.$number" number 2>/dev/null || mv -n "number.$number" number'
    yield '    rm -f "number.$number"'
    yield '    if [ -s number ] && [ "$(cat number)" != "$number" ]; then'
    yield '        echo "Slurm has this job twice: number $(cat number) runs it." && exit'
    yield "    fi"
    yield "fi"
    yield "rm -f ended"
    if setup := request.options.slurm_setup:
        yield from ("", setup.strip(), "")
    yield f"python={_python(request)}"
    if request.environment:
        where = shlex.quote(f"../environments/{request.environment}")
        yield f'python=$(bash {ENVIRONMENT} {where} "$python") || exit'
    requeue = request.options.slurm_requeue
    yield f"export HUBTRAIN_SLURM=1 HUBTRAIN_SLURM_REQUEUE={int(requeue)}"
    yield 'export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"'
    again = f" {EndReason.PREEMPTED.exit_code}" if requeue else ""
    yield f'exec "$python" -P -m worker.batch{again}'


def _python(request: SlurmRequest) -> str:
    """Return the interpreter, as the shell takes it."""
    if chosen := request.options.slurm_python:
        home_there = chosen.startswith("~/")
        return f'"$HOME"/{shlex.quote(chosen[2:])}' if home_there else shlex.quote(chosen)
    return "python3" if request.options.slurm_host else shlex.quote(sys.executable)


def asked(request: SlurmRequest, name: str, log: str = LOG) -> Iterator[str]:
    """Yield the options of `sbatch` for what is called `name` there."""
    options, ask = request.options, Ask.of(request.job.machine.flavor or "")
    wall = wall_time(request.job, options)
    others = [g for g in (options.slurm_gres or "").split(",") if not g.startswith("gpu:")]
    gres = ",".join(filter(None, (ask.gres, *others)))
    told = {
        "job-name": name,
        "partition": ask.partition or options.slurm_partition,
        "account": options.slurm_account,
        "qos": options.slurm_qos,
        "nodes": options.slurm_nodes,
        "ntasks": options.slurm_nodes,
        "ntasks-per-node": 1,
        "gres": gres,
        "cpus-per-task": options.slurm_cpus,
        "mem": options.slurm_memory,
        "constraint": options.slurm_constraint,
        "time": wall,
        "signal": f"B:USR1@{warning(wall)}",
        "output": log,
        "open-mode": "append",
    }
    yield from (f"--{option}={value}" for option, value in told.items() if value)
    yield "--requeue" if options.slurm_requeue else "--no-requeue"


def wall_time(job: JobSpec, options: SlurmOptions) -> str | None:
    """Return a job's wall time as Slurm writes it; none for the longest that its partition allows.

    The worker ends by itself when its limits are reached, and may then push for a while: the wall
    is behind that.
    """
    if options.slurm_time:
        return options.slurm_time
    allowed = job.limits.seconds(job.machine.usd_per_hour)
    if math.isinf(allowed):
        return None
    return str(math.ceil((allowed + job.limits.push_seconds + _START_SECONDS) / 60))


def warning(wall: str | None) -> int:
    """Return how many seconds before the end of its wall time a job is told."""
    if wall is None:
        return _WARN_SECONDS
    return max(60, min(_WARN_SECONDS, int(seconds(wall) / 10)))


def seconds(wall: str) -> float:
    """Return a wall time as Slurm writes it, in seconds: `30`, `10:00`, `2:00:00`, `1-12:30`."""
    days, dash, rest = wall.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if dash:
        hours, minutes, secs = [*parts, 0, 0][:3]
        return int(days) * 86400 + hours * 3600 + minutes * 60 + secs
    if len(parts) == 1:
        return parts[0] * 60
    hours, minutes, secs = [0, *parts][-3:]
    return hours * 3600 + minutes * 60 + secs


def job_id_in(folder: str) -> str:
    """Return the id of the job whose folder this is."""
    return PurePosixPath(folder).name
