"""A sweep in every place where a job can run: real engines, real jobs, a task that trains quickly.

They take minutes: `pytest -m campaign`. What a sweep does beside that is in `tests/test_sweep.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from benches.jobs import cancel_all
from benches.slurm import configuration, slurm
from standins.containers import docker, worker_image
from standins.laptop import Laptop, processes
from standins.localhub import HubServer

from backends.handle import Handle

pytestmark = [pytest.mark.campaign, pytest.mark.slow, pytest.mark.timeout(900)]

VALUES = ("decision_tree", "naive_bayes", "logistic_regression")
PUSHING = ("--push-to-hub", "--username", "ann")


@pytest.fixture
def laptop(
    shared_hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Laptop]:
    rows = [f"{i % 17},{(i * 7) % 5},{'yn'[i % 17 > 8]}\n" for i in range(80)]
    (tmp_path / "t.csv").write_text("a,b,y\n" + "".join(rows))
    monkeypatch.setenv("HF_ENDPOINT", shared_hub.endpoint)
    laptop = Laptop(tmp_path / "home", shared_hub)
    yield laptop
    for job in laptop.jobs():
        laptop.run("rm", job["job"], "--force", "--yes")
    cancel_all(shared_hub)


def swept(laptop: Laptop, name: str, *where: str) -> dict[str, Any]:
    """Run a sweep twice, the second time to find it done, and return what it came to."""
    words = (
        *("sweep", "tabular", "--data-path", "t.csv", "--target-columns", "y", "--num-trials", "1"),
        *("--project-name", name, "--parallel", "2", "--try", f"model={','.join(VALUES)}"),
        *("--json", *where),
    )
    done = laptop.run(*words)
    assert done.code == 0, done.err + done.out
    found: dict[str, Any] = done.document
    values = [trial["value"] for trial in found["trials"]]
    assert len(values) == len(VALUES) and all(0.3 < value <= 1 for value in values)
    assert found["best"] == values.index(max(values))
    jobs = {job["job"]: job for job in laptop.jobs()}
    assert {job["trial"]["number"] for job in jobs.values()} == {0, 1, 2}
    assert {job["state"] for job in jobs.values()} == {"succeeded"}
    again = laptop.run(*words)
    assert (again.code, again.document["model"]) == (0, found["model"]), again.err
    assert {job["job"] for job in laptop.jobs()} == jobs.keys(), "nothing is rented twice"
    assert not any(processes(f"hubtrain-{job}") for job in jobs)
    return found


def test_in_containers(laptop: Laptop) -> None:
    worker_image("tabular")
    done = swept(laptop, "box", "--backend", "docker")
    assert (Path(done["model"]) / "model.skops").is_file()
    states = docker(
        "ps", "--all", "--filter", "name=hubtrain-", "--format", "{{.Names}} {{.State}}"
    )
    mine = [line for job in laptop.jobs() for line in states.splitlines() if job["job"] in line]
    assert len(mine) == len(VALUES) and all(line.endswith(" exited") for line in mine)


def test_on_slurm(laptop: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CONF", str(configuration()))
    done = swept(laptop, "queue", "--backend", "slurm-debug")
    assert (Path(done["model"]) / "model.skops").is_file()
    waiting = slurm("squeue", "--noheader", "--format=%j").split()
    assert not [job for job in laptop.jobs() if f"hubtrain-{job['job']}" in waiting]


@pytest.mark.parametrize("place", ["jobs-cpu-basic", "spaces-cpu-basic"])
def test_at_the_hub(laptop: Laptop, place: str) -> None:
    name = place.partition("-")[0]
    swept(laptop, name, "--backend", place, "--max-cost", "1", *PUSHING)
    assert "model.skops" in laptop.hub.api().list_repo_files(f"ann/{name}")
    assert not [bill for bill in laptop.hub.admin("GET", "bills") if bill["costing"]]
    assert {Handle.parse(job["handle"]).backend for job in laptop.jobs()} == {name}
