"""Training on two nodes of a real Slurm: what both learn together is what one process learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from benches.slurm import configuration
from standins.together import curve
from standins.waiting import until
from test_several import STEP, alone
from tiny_llm import chats, job, write_model, write_rows

from backends.slurm import Slurm
from worker.contract import DataRef, Event, Finished, JobSpec, Machine, ModelRef, Parallel
from worker.supervise.journal import read_events

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

PAIR = {"slurm_nodes": 2, "slurm_setup": "export GLOO_SOCKET_IFNAME=lo", "slurm_memory": "2G"}
"""What a job asks for whose nodes both are this machine."""


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Slurm:
    monkeypatch.setenv("SLURM_CONF", str(configuration()))
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path / "home"))
    return Slurm()


def ask(tmp_path: Path, model: Path, **how: Any) -> JobSpec:
    params, _, _ = job(model, tmp_path / "data" / "train.jsonl", tmp_path / "data", **how)
    return JobSpec(
        job_id="k4x",
        project="pair",
        task="llm",
        params=params.model_dump(mode="json"),
        model=ModelRef(name=str(model)),
        data=DataRef(folder=str(tmp_path / "data"), train=("train.jsonl",), valid=("valid.jsonl",)),
        machine=Machine(backend="slurm", flavor="pair", options=PAIR),
        parallel=Parallel(processes=2, nodes=2),
        output=str(tmp_path / "out"),
    )


def test_two_nodes_learn_what_one_process_does(slurm: Slurm, tmp_path: Path) -> None:
    model = write_model(tmp_path / "tiny")
    data = write_rows(tmp_path / "data" / "train.jsonl", chats(30))
    valid = write_rows(tmp_path / "data" / "valid.jsonl", chats(5))
    how = {**STEP, "trainer": "sft"}
    one = alone(model, data, tmp_path / "one", valid, **how)
    handle = slurm.launch(slurm.plan(ask(tmp_path, model, **how)), {})
    try:
        until(lambda: not slurm.status(handle).alive, 200)
        told: list[Event] = list(read_events(Path(handle.path) / "work" / "events.jsonl"))
        assert isinstance(told[-1], Finished), "\n".join(slurm.logs(handle))
    finally:
        slurm.remove(handle)
    for name, bound in (("loss", 1e-3), ("valid_loss", 1e-3), ("grad_norm", 1e-2)):
        expected = curve(one, name)
        assert expected
        assert curve(told, name) == pytest.approx(expected, abs=bound), name
