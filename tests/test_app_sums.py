"""The app's pages of a sweep and of money: what they show of the records. No browser."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from standins import swept
from standins.bench import job
from standins.localhub import HubServer
from standins.waiting import until

from orchestrator.app.board import Board
from orchestrator.app.samples import AGAIN_SECONDS, Said
from orchestrator.app.shown import cost, sweep
from orchestrator.jobs.client import Client
from orchestrator.jobs.records import Record
from orchestrator.jobs.spending import set_budget
from orchestrator.sweep.kept import trials
from worker.clock import SystemClock
from worker.contract import Finished, Pushed
from worker.samples import SAMPLES_FILE

NOW = datetime.now(UTC)
NASTY = "<b>bot</b>"


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path))
    client = Client(given_token="hf_x")
    client.records.write(swept.trials(NASTY, "plain", "plain"))
    return client


def test_a_sweep_shows_its_best_first_and_what_each_trial_measured(client: Client) -> None:
    spec = swept.sweep()
    html = sweep.sweep(spec, trials(client, spec), NOW)
    assert "Best: t1, loss 1.25" in html and "3 of 3 trials done, $3.00 of at most $5.00" in html
    order = [
        html.index(f'<a href="/job?id={job_id}">') for job_id in ("trial1", "trial0", "trial2")
    ]
    assert order == sorted(order), "the best first"
    assert html.count("<polyline") == 2 and "the best so far" in html


def test_an_errand_is_told_of_until_something_has_come_of_it(client: Client) -> None:
    board, may_end = Board(client), threading.Event()

    def fail() -> str:
        may_end.wait()
        raise ZeroDivisionError("nothing to divide by")

    board.do("Stopping bot", fail)
    assert [(note.text, note.goes_on) for note in board.notes()] == [("Stopping bot", True)]
    may_end.set()
    until(lambda: not board.notes()[0].goes_on)
    (note,) = board.notes()
    assert note.wrong and "nothing to divide by" in note.text and "crash.txt" in note.text


class Later(SystemClock):
    """A clock on which as much time has gone by as one says."""

    later = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.later


def test_samples_are_asked_for_again_where_the_hub_did_not_answer(
    shared_hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", shared_hub.endpoint)
    api, repo = shared_hub.api(), "ann/said"
    api.create_repo(repo)
    kept = b'{"about": "a few", "samples": [{"prompt": "Hi", "before": "?", "after": "Ho"}]}'
    sha = api.upload_file(path_or_fileobj=kept, path_in_repo=SAMPLES_FILE, repo_id=repo).oid
    spec = job("spaces")
    how: dict[str, Any] = {"at": NOW}
    events = (Pushed(**how, seq=1, repo_id=repo, commit=sha, url=""), Finished(**how, seq=2))
    record, clock = Record(spec, events), Later()
    said = Said(Client(given_token=shared_hub.tokens["ann"], clock=clock))
    shared_hub.fault({"status": 403}, path=SAMPLES_FILE)
    asked = partial(shared_hub.requests, SAMPLES_FILE)
    assert said.of(record) is None
    until(asked)
    assert said.of(record) is None and len(asked()) == 1, "not at once"
    clock.later = AGAIN_SECONDS
    found = until(lambda: said.of(record))
    assert found.samples[0]["after"] == "Ho" and len(asked()) == 2
    clock.later = 10 * AGAIN_SECONDS
    assert said.of(record) == found and len(asked()) == 2, "it is known"


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
