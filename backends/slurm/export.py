"""A job as a folder that others run: a job script for `sbatch`, or a task of SkyPilot.

The worker, the job and the versions it needs lie in it; no secret does. The same worker runs as
anywhere else, with a job id of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files as package_files
from typing import Any

from backends.errors import PlanRefused
from backends.image import image_files
from backends.slurm.flavors import Ask
from backends.slurm.options import SlurmOptions
from backends.slurm.request import ENVIRONMENT, PACKAGES, SCRIPT, plan
from worker.contract import JOB_FILE, JobSpec, Machine

TASK = "task.yaml"
DATA = "data"
"""Where the examples are in the folder, if they are not on the Hub."""

IDLE_MINUTES = 10
"""How long a machine of SkyPilot's may idle after the job until it is taken down."""

_NAMES = (
    *("A100", "A10G", "A10", "B200", "GH200", "H100", "H200", "K80"),
    *("L4", "L40", "L40S", "MI300X", "P100", "T4", "V100"),
)
"""GPUs as SkyPilot calls them (`sky gpus list`)."""

_TOKEN = (
    "# The Hub token is that of `hf auth login` on the cluster.",
    'export HF_TOKEN=${HF_TOKEN:-$(cat "${HF_HOME:-$HOME/.cache/huggingface}/token" 2>/dev/null)}',
)


def of_slurm(job: JobSpec, options: SlurmOptions) -> dict[str, bytes]:
    """Return the files of a folder in which `sbatch job.sh` runs the job. Raises `PlanRefused`."""
    # Which Python the cluster has is not known here: as with a login node, it is made in the job.
    chosen = {**options.model_dump(mode="json"), "slurm_host": options.slurm_host or "login"}
    kind, gpus = options.gpus
    flavor = Ask(options.slurm_partition or "", kind, gpus).name
    machine = Machine(backend="slurm", flavor=flavor, accelerators=gpus, options=chosen)
    request = plan(job.model_copy(update={"machine": machine}))
    token = "".join(f"{line}\n" for line in _TOKEN)
    script = request.script.replace("\nexec ", f"\n{token}exec ")
    return {**request.files, SCRIPT: script.encode()}


def merged(machine: Machine, options: SlurmOptions) -> SlurmOptions:
    """Return what a job asked of Slurm, if it was made for one, and what is said anew."""
    before: dict[str, Any] = {}
    if machine.backend == "slurm":
        before = {**machine.options, **_said_by(Ask.of(machine.flavor or ""))}
    return SlurmOptions.model_validate({**before, **options.model_dump(exclude_unset=True)})


def _said_by(ask: Ask) -> dict[str, str]:
    """Return the options that say the same as a flavor."""
    gpus = {"slurm_gpus": ":".join(filter(None, (ask.kind, str(ask.gpus))))} if ask.gpus else {}
    return {**({"slurm_partition": ask.partition} if ask.partition else {}), **gpus}


def of_sky(job: JobSpec, gpus: str | None) -> dict[str, bytes]:
    """Return the files of a folder in which `sky launch task.yaml` runs the job.

    `gpus` are as SkyPilot writes them: `A100:2`. Raises `PlanRefused` for a job whose model would
    be lost with the machine, or that starts from a folder of this one.
    """
    if job.push is None:
        raise PlanRefused(
            "A machine of SkyPilot's is taken down after the job, and its model with it.",
            fix="Export a job that was made with --push-to-hub.",
        )
    if job.model and not job.model.on_hub:
        raise PlanRefused(f"{job.model.name} is a folder of this machine.", fix="Push it first.")
    machine = Machine(backend="skypilot", flavor=gpus, accelerators=count(gpus))
    moved = job.model_copy(update={"machine": machine})
    whole = image_files(job.extras or (job.task,), machine.accelerators)
    kept = {p: text for p, text in whole.items() if p in PACKAGES or p.startswith("worker/")}
    return {
        **kept,
        ENVIRONMENT: (package_files("backends.slurm") / ENVIRONMENT).read_bytes(),
        JOB_FILE: moved.model_dump_json(indent=2).encode(),
        TASK: _yaml(_task(moved, gpus), f"{job.project}, a job of hubtrain"),
    }


def count(gpus: str | None) -> int:
    """Return how many GPUs `A100:2` are."""
    return int(gpus.rpartition(":")[2]) if gpus else 0


def accelerators(job: JobSpec, asked: str | None) -> str | None:
    """Return the GPUs asked for, or those that a job had, as SkyPilot writes them; none for none.

    Raises `PlanRefused` where it is not known how SkyPilot calls them.
    """
    machine = job.machine
    if asked or not machine.accelerators:
        return asked
    words = re.findall(r"[a-z0-9]+", (machine.flavor or "").lower())
    for name in _NAMES:
        if any(re.fullmatch(rf"{name.lower()}(x\d+|s|m|l)?", word) for word in words):
            return f"{name}:{machine.accelerators}"
    raise PlanRefused(
        f"How SkyPilot calls the GPUs of {machine.flavor} is not known.",
        fix=f"--sky-accelerators A100:{machine.accelerators}",
    )


def _task(job: JobSpec, gpus: str | None) -> dict[str, Any]:
    """Return the task, by the schema of SkyPilot 0.14 (docs.skypilot.co, "Task YAML")."""
    machine: dict[str, Any] = {"accelerators": gpus} if gpus else {"cpus": "4+", "memory": "16+"}
    return {
        "name": f"hubtrain-{job.job_id}",
        "workdir": ".",
        "resources": {**machine, "autostop": {"idle_minutes": IDLE_MINUTES, "down": True}},
        "secrets": {"HF_TOKEN": None},
        "setup": "\n".join(_setup()),
        "run": 'export PYTHONPATH="$PWD"\nexec "$(cat .python)" -P -m worker',
    }


def _setup() -> Iterator[str]:
    """Yield the lines that make the environment; images of clouds may have an older Python."""
    yield "set -e"
    yield "python=python3"
    yield 'if ! "$python" -c "import sys; sys.exit(sys.version_info < (3, 11))"; then'
    yield '  "$python" -m pip install --quiet --user uv'
    yield '  "$python" -m uv venv --quiet --seed --python 3.11 ~/python'
    yield "  python=~/python/bin/python"
    yield "fi"
    yield f'bash {ENVIRONMENT} ~/hubtrain-environment "$python" >.python'


def _yaml(task: dict[str, Any], title: str) -> bytes:
    import yaml

    class Block(yaml.SafeDumper):
        """Writes lines as lines."""

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        style = "|" if "\n" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Block.add_representer(str, text)
    head = f"# {title}. In this folder: HF_TOKEN=… sky launch {TASK} --secret HF_TOKEN\n"
    return (head + yaml.dump(task, Dumper=Block, sort_keys=False)).encode()
