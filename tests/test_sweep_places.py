"""A sweep in every place where a job can run: real engines, real jobs, a task that trains quickly.

They take minutes: `pytest -m campaign`. What a sweep does beside that is in `tests/test_sweep.py`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from benches.jobs import cancel_all
from benches.slurm import SERVICE, configuration, slurm
from standins.containers import docker, worker_image
from standins.laptop import Laptop, processes
from standins.localhub import HubServer
from standins.waiting import until

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


def test_a_grid_on_slurm_is_one_array_that_needs_no_client(
    laptop: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever begins it is killed at once; the controller is restarted; the end is one sweep."""
    monkeypatch.setenv("SLURM_CONF", str(configuration()))
    words = (
        *("sweep", "tabular", "--data-path", "t.csv", "--target-columns", "y", "--num-trials", "1"),
        *("--project-name", "lone", "--parallel", "2", "--try", f"model={','.join(VALUES)}"),
        *("--backend", "slurm-debug", "--json"),
    )
    begun = laptop.start(*words)
    until(lambda: [job["handle"] for job in laptop.jobs() if job["handle"]][len(VALUES) - 1 :])
    begun.kill()
    begun.communicate()
    subprocess.run([SERVICE, "stop"], check=True)
    subprocess.run([SERVICE, "start"], check=True)
    ids = [job["job"] for job in laptop.jobs()]
    named = slurm("squeue", "--noheader", "--array", "--states=all", "--format=%j %i").splitlines()
    of_it = {line.partition("_")[0] for line in named if any(job in line for job in ids)}
    assert len(of_it) == 1, "one array of all trials"
    until(lambda: not _alive(laptop), 300, every=1.0)
    done = laptop.run(*words)
    assert done.code == 0, done.err + done.out
    assert {trial["state"] for trial in done.document["trials"]} == {"succeeded"}
    assert sorted(job["job"] for job in laptop.jobs()) == sorted(ids), "nothing ran twice"
    assert laptop.run("rm", "lone", "--yes").code == 0
    assert not list((laptop.home / "runs" / "arrays").iterdir())


def _alive(laptop: Laptop) -> list[str]:
    """Return what of the sweep still runs or waits, as Slurm has it."""
    queued = slurm("squeue", "--noheader", "--array", "--format=%Z").split()
    return [folder for folder in queued if str(laptop.home) in folder]


@pytest.mark.parametrize("place", ["jobs-cpu-basic", "spaces-cpu-basic"])
def test_at_the_hub(laptop: Laptop, place: str) -> None:
    name = place.partition("-")[0]
    swept(laptop, name, "--backend", place, "--max-cost", "1", *PUSHING)
    assert "model.skops" in laptop.hub.api().list_repo_files(f"ann/{name}")
    assert not [bill for bill in laptop.hub.admin("GET", "bills") if bill["costing"]]
    assert {Handle.parse(job["handle"]).backend for job in laptop.jobs()} == {name}
