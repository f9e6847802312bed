"""The app's pages of a sweep and of money: what they show of the records. No browser."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.app.board import Board
from orchestrator.app.shown import cost, sweep
from orchestrator.jobs.client import Client
from orchestrator.jobs.spending import set_budget
from orchestrator.settings.sweep import SweepSettings
from orchestrator.sweep.kept import trials
from orchestrator.sweep.spec import SweepSpec
from worker.contract import (
    Created,
    DataRef,
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

NOW = datetime.now(UTC)
NASTY = "<b>bot</b>"


def put(client: Client, job_id: str, project: str, lr: float, loss: float) -> None:
    """Write down a trial that took an hour of a dollar."""
    number = "abc".index(job_id[0])
    spec = JobSpec(
        job_id=job_id,
        project=project,
        task="llm",
        params={"trainer": "sft", "lr": lr, "model": "tiny"},
        data=DataRef(),
        machine=Machine(backend="jobs", flavor="t4-small", usd_per_hour=1.0),
        trial=Trial(sweep="bot", number=number),
    )
    began = NOW - timedelta(hours=2)
    client.records.claim(job_id, lambda: spec, began)
    client.records.add(
        job_id,
        [
            Created(job_id=job_id, at=began, source="laptop"),
            Launched(handle=f"jobs://ann/{job_id}", at=began, source="laptop"),
            Started(job_id=job_id, at=began, seq=1),
            Metric(step=1, values={"loss": loss}, at=began, seq=2),
            Finished(at=began + timedelta(hours=1), seq=3),
            Observed(
                stage="COMPLETED",
                alive=False,
                costing=False,
                at=began + timedelta(hours=1),
                source="laptop",
            ),
        ],
    )


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path))
    client = Client(given_token="hf_x")
    put(client, "aaaaaa", NASTY, 1e-5, 2.5)
    put(client, "bbbbbb", "plain", 3e-5, 1.25)
    put(client, "cccccc", "plain", 1e-4, 4.0)
    return client


def test_a_sweep_shows_its_best_first_and_what_each_trial_measured(client: Client) -> None:
    spec = SweepSpec(
        name="bot",
        task="llm",
        folder="/",
        settings={},
        origins={},
        tried={"lr": "1e-5,3e-5,1e-4"},
        how=SweepSettings(),
        max_usd=5.0,
        measure=Measure("loss", "lower"),
    )
    html = sweep.sweep(spec, trials(client, spec), NOW)
    assert "Best: t1, loss 1.25" in html and "3 of 3 trials done, $3.00 of at most $5.00" in html
    order = [
        html.index(f'<a href="/job?id={job_id}">') for job_id in ("bbbbbb", "aaaaaa", "cccccc")
    ]
    assert order == sorted(order), "the best first"
    assert html.count("<polyline") == 2 and "the best so far" in html


def test_money_is_summed_up_by_what_is_chosen(client: Client) -> None:
    set_budget(10.0)
    seen = Board(client).seen()
    month = f"{NOW - timedelta(hours=2):%Y-%m}"
    assert cost.months(seen) == [("All months", ""), (month, month)]
    html = cost.ledger(seen, "project", "")
    assert "$3.00 for 3 jobs" in html and "left of $10.00" in html
    assert "&lt;b&gt;bot&lt;/b&gt;" in html and NASTY not in html
    assert html.index("plain") < html.index("&lt;b&gt;"), "the dearest first"
    assert "No job has run yet" in cost.ledger(seen, "month", "1999-01")
