"""Jobs as folders that others run: a script, which a real Slurm takes, and SkyPilot's task."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from benches.slurm import configuration, slurm
from standins.bench import CANARY, STANDIN, job
from standins.waiting import until

from backends.errors import PlanRefused
from orchestrator.job_export import hand_over, is_asked
from orchestrator.jobs.client import Client
from worker.contract import DataRef, JobSpec, Machine, ModelRef, Parallel
from worker.errors import BadConfig

TASK_KEYS = {"name", "workdir", "resources", "secrets", "setup", "run"}
"""Of those that SkyPilot 0.14 knows (`get_task_schema` in its `sky/utils/schemas.py`)."""


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_TOKEN", CANARY)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return Client()


def recorded(client: Client, **changes: Any) -> JobSpec:
    """Put a job on record, as one of a Job of the Hub with four GPUs."""
    machine = Machine(backend="spaces", flavor="a100x4", accelerators=4, usd_per_hour=10)
    params = {"model": "m", "data_path": "d", "batch_size": 2, "gradient_accumulation": 4}
    told = {"machine": machine, "parallel": Parallel(processes=4), "params": params, **changes}
    spec = job("spaces", **told)
    client.records.claim("x", lambda: spec, client.clock.now())
    return spec


def written(folder: Path) -> JobSpec:
    return JobSpec.model_validate_json((folder / "job.json").read_bytes())


def test_slurm_takes_the_job_script(client: Client, tmp_path: Path) -> None:
    configuration()
    data = tmp_path / "packed"
    data.mkdir()
    (data / "train.parquet").write_bytes(b"rows")
    ref = DataRef(folder=str(data), train=("train.parquet",))
    spec = recorded(client, data=ref, params={"lines": 2}, machine=Machine(backend="local"))
    options = {"slurm_partition": "debug", "slurm_python": sys.executable}
    handed = hand_over(client, spec.job_id, {"slurm": True, **options})
    assert handed.next == "cd support-bot-slurm && sbatch job.sh"
    inside = written(handed.folder)
    assert inside.job_id != spec.job_id and inside.output is None
    assert (handed.folder / str(inside.data.folder) / "train.parquet").read_bytes() == b"rows"
    (handed.folder / "worker" / "__main__.py").write_bytes(STANDIN.read_bytes())
    environ = {**os.environ, "SLURM_CONF": str(configuration())}
    command = ["sbatch", "--parsable", "--export=NIL,PATH,HOME,SLURM_CONF", "job.sh"]
    ran = subprocess.run(
        command, cwd=handed.folder, env=environ, check=True, capture_output=True, text=True
    )
    log = handed.folder / "log.txt"
    try:
        until(lambda: log.exists() and "line 1" in log.read_text())
    finally:
        slurm("scancel", ran.stdout.strip())


def test_a_task_of_skypilot_runs_the_same_worker(client: Client) -> None:
    spec = recorded(client)
    handed = hand_over(client, spec.job_id, {"sky": True})
    text = (handed.folder / "task.yaml").read_text()
    task = yaml.safe_load(text)
    assert task.keys() == TASK_KEYS
    assert task["resources"]["accelerators"] == "A100:4"
    assert task["secrets"] == {"HF_TOKEN": None}
    assert task["run"].endswith("-m worker")
    inside = written(handed.folder)
    assert (inside.machine.backend, inside.machine.accelerators) == ("skypilot", 4)
    assert inside.parallel == spec.parallel
    assert {"worker", "environment.sh", "requirements.txt", "torch.txt"} <= {
        path.name for path in handed.folder.iterdir()
    }
    texts = [f.read_bytes() for f in handed.folder.rglob("*") if f.is_file()]
    assert not [text for text in texts if CANARY.encode() in text]


def test_other_gpus_are_as_many_processes(client: Client) -> None:
    spec = recorded(client)
    two = hand_over(
        client, spec.job_id, {"sky": True, "sky_accelerators": "H100:2", "output_folder": "two"}
    )
    assert written(two.folder).parallel == Parallel(processes=2)
    one = hand_over(
        client, spec.job_id, {"sky": True, "sky_accelerators": "L4:1", "output_folder": "one"}
    )
    assert written(one.folder).parallel == Parallel()


def test_what_would_be_lost_or_lacking_is_refused(client: Client, tmp_path: Path) -> None:
    kept = recorded(client, push=None)
    with pytest.raises(PlanRefused, match="taken down"):
        hand_over(client, kept.job_id, {"sky": True})
    assert not list(Path.cwd().iterdir())
    with pytest.raises(BadConfig, match="two folders"):
        hand_over(client, kept.job_id, {"sky": True, "slurm": True})


def test_a_model_of_this_machine_is_not_had_elsewhere(client: Client) -> None:
    spec = recorded(client, model=ModelRef(name="/home/ann/model"))
    with pytest.raises(PlanRefused, match="Push it first"):
        hand_over(client, spec.job_id, {"sky": True})


def test_a_folder_that_is_there_is_left_alone(client: Client) -> None:
    spec = recorded(client)
    Path("support-bot-sky").mkdir()
    with pytest.raises(BadConfig, match="is there already"):
        hand_over(client, spec.job_id, {"sky": True})
    assert is_asked({"sky": True}) and not is_asked({"merged": True})
