"""Money: the ledger, the month's budget, estimates corrected by what runs took, all by the CLI."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from standins.laptop import Laptop
from standins.localhub import HubServer
from standins.preflight import CHATS, model

from orchestrator.forecast import Forecast
from orchestrator.jobs.records import Records
from orchestrator.preflight.pace import History, Run, history
from worker.contract import (
    DataRef,
    Event,
    Finished,
    JobSpec,
    Launched,
    Limits,
    Machine,
    ModelRef,
    Observed,
    Started,
)

TOLD = Forecast((10, 20, 40), (0.1, 0.2, 0.4), 0.4, 20, 150e6)


def job(job_id: str, project: str, usd: float = 0.6, cap: float | None = None) -> JobSpec:
    return JobSpec(
        job_id=job_id,
        project=project,
        owner="ann",
        task="llm",
        params={"trainer": "sft"},
        model=ModelRef(name="ann/small"),
        data=DataRef(),
        machine=Machine(backend="spaces", flavor="t4-small", usd_per_hour=usd),
        limits=Limits(max_usd=cap),
    )


def ran(
    records: Records,
    spec: JobSpec,
    minutes: float,
    *,
    ago: timedelta = timedelta(0),
    over: bool = True,
) -> None:
    """Write down a job that ran so long, and ended so long ago or goes on."""
    now = datetime.now(UTC)
    began = now - ago - timedelta(minutes=minutes)
    records.claim(spec.job_id, lambda: spec, began, TOLD)
    handle = f"spaces://ann/{spec.project}-{spec.job_id}"
    events: list[Event] = [
        Launched(handle=handle, at=began, source="laptop"),
        Observed(stage="RUNNING", alive=True, costing=True, at=began, source="laptop"),
        Started(job_id=spec.job_id, at=began, seq=1),
    ]
    if over:
        gone = Observed(stage="PAUSED", alive=False, costing=False, at=now - ago, source="laptop")
        events += [Finished(at=now - ago, seq=2), gone]
    records.add(spec.job_id, events)


@pytest.fixture(scope="module")
def hub(shared_hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> HubServer:
    folder = model(tmp_path_factory.mktemp("models") / "small")
    api = shared_hub.api()
    api.create_repo("ann/small")
    api.upload_folder(repo_id="ann/small", folder_path=folder)
    return shared_hub


@pytest.fixture
def laptop(hub: HubServer, tmp_path: Path) -> Laptop:
    (tmp_path / "chats.jsonl").write_text(CHATS)
    return Laptop(tmp_path / "home", hub)


@pytest.fixture
def records(laptop: Laptop, monkeypatch: pytest.MonkeyPatch) -> Records:
    monkeypatch.setenv("HF_ENDPOINT", laptop.hub.endpoint)
    return Records(laptop.home)


TRAIN = (
    *("llm", "--train", "--trainer", "sft", "--peft", "--model", "ann/small", "--push-to-hub"),
    *("--data-path", "chats.jsonl", "--project-name", "bot", "--backend", "spaces-t4", "--dry-run"),
)


def test_the_ledger_sums_up_what_jobs_cost_beside_what_was_expected(
    laptop: Laptop, records: Records
) -> None:
    ran(records, job("aaa", "bot"), 30)
    ran(records, job("bbb", "bot"), 10)
    ran(records, job("ccc", "spam", usd=6.0), 60, ago=timedelta(days=400))
    said = laptop.run("cost", "--offline", "--json").document
    by_month = said["lines"]
    assert [(line["jobs"], line["usd"]) for line in by_month] == [(2, 0.4), (1, 6.0)]
    assert (by_month[0]["expected_usd"], by_month[0]["ratio"]) == (0.4, pytest.approx(1.0))
    assert said["month"]["spent"] == pytest.approx(0.4)
    printed = laptop.run("cost", "--offline", "--by", "project", "--csv").out
    rows = list(csv.DictReader(io.StringIO(printed)))
    assert [(row["project"], row["usd"]) for row in rows] == [("spam", "6.0"), ("bot", "0.4")]
    shown = laptop.run("cost", "--offline", "--by", "backend").out
    assert "spaces-t4-small  3     1 h 40 min  $6.40" in shown
    assert "3 jobs, $6.40 in all" in shown and "no budget is set" in shown


def test_a_budget_refuses_what_would_break_it_and_says_the_numbers(
    laptop: Laptop, records: Records
) -> None:
    ran(records, job("aaa", "other", usd=60.0), 60)
    ran(records, job("bbb", "more", usd=6.0, cap=10.0), 60, over=False)
    assert laptop.run(*TRAIN).code == 0, "no budget is set"
    kept = laptop.run("cost", "--offline", "--budget", "$70.02")
    assert "left of the budget of $70.02 a month" in kept.out
    refused = laptop.run(*TRAIN)
    assert refused.code == 2, refused.out
    assert "the budget of $70.02 a month would be broken: $66." in refused.out
    assert "that running jobs may still cost" in refused.out
    assert "for this one at most" in refused.out and "--max-cost 0.02" in refused.out
    bounded = laptop.run(*TRAIN, "--max-cost", "$0.01")
    assert bounded.code == 0, bounded.out
    assert laptop.run("rm", "--forget", "aaa", "bbb").code == 0
    after = laptop.run("cost", "--offline", "--json").document
    assert after["month"]["spent"] == pytest.approx(66, abs=0.5) and not after["month"]["pending"]
    assert len(after["lines"]) == 1 and after["lines"][0]["jobs"] == 2, "money that is spent stays"
    assert laptop.run("cost", "--offline", "--budget", "66.4").code == 0
    ran(records, job("ccc", "last", usd=0.4), 60)
    refused = laptop.run(*TRAIN)
    assert refused.code == 2 and "hubtrain cost --budget 67" in refused.out, refused.out
    assert laptop.run("cost", "--offline", "--budget", "67").code == 0
    assert laptop.run(*TRAIN).code == 0, "what it says to type works"
    assert laptop.run("cost", "--offline", "--budget", "none").code == 0
    assert laptop.run(*TRAIN).code == 0
    assert json.loads((laptop.home / "settings.json").read_text())["budget"] is None
    assert laptop.run("cost", "--budget", "much").code == 2


def test_a_job_that_outlasts_its_month_counts_in_the_next_one_until_it_ends(
    laptop: Laptop, records: Records
) -> None:
    days = 40 * 24 * 60
    ran(records, job("old", "bot", usd=0.01, cap=20.0), days, over=False)
    ran(records, job("gone", "bot", usd=0.01, cap=20.0), days)
    month = laptop.run("cost", "--offline", "--json").document["month"]
    assert month["spent"] == pytest.approx(9.6, abs=0.1), "that of the job that goes on, alone"
    assert month["pending"] == pytest.approx(10.4, abs=0.1)


def test_a_settings_file_that_cannot_be_read_spends_nothing(
    laptop: Laptop, records: Records
) -> None:
    for text in ("{", '{"budget": NaN}', '{"budget": -5}'):
        (laptop.home / "settings.json").write_text(text)
        refused = laptop.run(*TRAIN)
        assert refused.code == 2 and "hubtrain cost --budget" in refused.err


def test_estimates_are_corrected_by_what_runs_took(laptop: Laptop, records: Records) -> None:
    first = laptop.run(*TRAIN, "--json").document["report"]["estimate"]["minutes"]["expected"]
    told = Forecast((1, first, 9), (0, 0, 1), 1.0, first, 150e6)
    now = datetime.now(UTC)
    for number, times in enumerate((2.0, 40.0, 3.0)):
        spec = job(f"run{number}", "old")
        records.claim(spec.job_id, lambda spec=spec: spec, now, told)  # type: ignore[misc]
        over = now + timedelta(minutes=first * times)
        done: list[Event] = [Started(job_id=spec.job_id, at=now, seq=1), Finished(at=over, seq=2)]
        records.add(spec.job_id, done)
    again = laptop.run(*TRAIN, "--json").document["report"]["estimate"]
    assert again["minutes"]["expected"] == pytest.approx(3 * first, rel=0.01)
    said = laptop.run(*TRAIN).out
    assert "corrected by your last 3 runs like it (3 of what was expected)" in said


def test_only_runs_like_it_correct_an_estimate() -> None:
    run = Run("llm sft", "spaces", "t4-small", 1e9, 20.0, 30.0)
    runs = history([run, Run("llm sft", "spaces", "t4-small", 1e9, 0.0, 30.0)])
    assert runs == History((run,))
    alike = runs.of("llm sft", "spaces", 1.5e9)
    assert alike.pace("t4-small", 30.0).factor == 1.5
    assert alike.pace("a10g-small", 30.0).runs == 0
    assert alike.pace("t4-small", 300.0).runs == 0, "it is much longer"
    assert runs.of("llm sft", "spaces", 7e9).runs == ()
    assert runs.of("llm dpo", "spaces", 1e9).runs == ()
    wild = history([Run("llm sft", "spaces", "t4-small", 1e9, 1.0, 1000.0)])
    assert wild.of("llm sft", "spaces", 1e9).pace("t4-small", 1.0).factor == 5.0


def test_what_costs_now_stands_above_the_list(laptop: Laptop, records: Records) -> None:
    ran(records, job("bbb", "more", usd=6.0), 60, over=False)
    ran(records, job("ccc", "most", usd=1.5), 60, over=False)
    first, _, header = laptop.run("jobs", "--offline").out.splitlines()[:3]
    assert first == "  Costing now: ccc $1.50/h, bbb $6.00/h · $7.50/h in all"
    assert header.startswith("JOB")


def test_machines_are_sorted_by_the_price_of_the_finished_run(
    laptop: Laptop, records: Records, tmp_path: Path
) -> None:
    words = ("llm", *TRAIN[2:-1])
    said = laptop.run("backends", "--for", *words, "--json")
    assert said.code == 0, said.out + said.err
    offers = said.document["offers"]
    fitting = [offer for offer in offers if offer["fits"]]
    prices = [offer["usd"]["expected"] for offer in fitting]
    assert len(fitting) > 10 and prices == sorted(prices)
    assert said.document["recommended"] == fitting[0]["backend"]
    config = tmp_path / "job.yml"
    config.write_text(
        "task: llm-sft\nbase_model: ann/big\nproject_name: bot\nbackend: spaces-t4\n"
        "data:\n  path: chats.jsonl\nhub:\n  push_to_hub: true\n"
    )
    folder = model(tmp_path / "big", parameters=30_000_000_000)
    api = laptop.hub.api()
    api.create_repo("ann/big", exist_ok=True)
    api.upload_folder(repo_id="ann/big", folder_path=folder)
    paged = laptop.run("backends", "--for", *words, "--backend", "jobs", "--jobs-page", "--json")
    prices = [
        {one["backend"]: one["usd_per_hour"] for one in told.document["offers"]}["jobs-t4-small"]
        for told in (said, paged)
    ]
    assert prices == [0.4, 0.41], "settings of a backend count for its machines"
    shown = laptop.run("backends", "--for", str(config)).out
    assert "does not fit: needs" in shown and "cheapest that fits   --backend " in shown, shown
    ran(records, job("aaa", "bot"), 30)
    of_record = laptop.run("backends", "--for", "aaa")
    assert of_record.code == 2 and "backends --for TASK" in of_record.err, "it lacks settings"
    assert laptop.run("backends", "--rm").code == 2
