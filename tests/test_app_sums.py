"""The app's pages of a sweep and of money: what they show of the records. No browser."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from standins import swept
from standins.waiting import until

from orchestrator.app.board import Board
from orchestrator.app.shown import cost, sweep
from orchestrator.jobs.client import Client
from orchestrator.jobs.spending import set_budget
from orchestrator.sweep.kept import trials

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
