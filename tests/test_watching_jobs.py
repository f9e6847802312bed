"""`hubtrain jobs --watch`, and tables on terminals of any width."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from benches.spaces import job
from standins.bench import without_spaces
from standins.laptop import Laptop
from standins.localhub import HubServer
from standins.terminal import CTRL_C, terminal
from standins.waiting import PATIENCE, until

from orchestrator.exits import DETACHED
from orchestrator.jobs.pace import ASK_SECONDS, ASK_SECONDS_MOST, Pace
from orchestrator.jobs.records import Records
from orchestrator.terminal.listing import ROW, SPARE
from orchestrator.terminal.table import GAP, table, width
from worker.clock import SystemClock
from worker.contract import Failed, Finished, Launched, Progress, Started
from worker.contract.reason import EndReason

NOW = datetime.now(UTC)

ROWS = [
    tuple(line.split("|"))
    for line in (
        "k4x7qp|support-bot|llm sft|spaces a10g-small|running 9 min|168/300|1.132|$0.19",
        "c07aaa|日本語のプロジェクトの名前がとても長い|text-classification|local"
        "|failed, resumable (no_accelerator) 3 d ago|-|f1 0.941|-",
        f"9qdbbb|{'x' * 90}|pretraining|jobs rtx-pro-6000x8|queued 2 s|-|-|$22.00",
    )
]


@pytest.fixture
def laptop(shared_hub: HubServer, tmp_path: Path) -> Iterator[Laptop]:
    yield from (Laptop(tmp_path / "home", hub) for hub in without_spaces(shared_hub))


@pytest.fixture
def records(laptop: Laptop) -> Records:
    return Records(laptop.home)


def begin(records: Records, project: str = "support-bot") -> str:
    spec = job(project=project)
    records.claim(spec.job_id, lambda: spec, NOW)
    records.add(spec.job_id, [Started(job_id=spec.job_id, at=NOW, seq=1)])
    return spec.job_id


@pytest.mark.parametrize("room", [30, 60, 80, 120, 200])
def test_a_table_fits_every_terminal_and_keeps_what_is_typed_again(room: int) -> None:
    laid = table(ROW, ROWS, 1, room, SPARE)
    assert all(width(GAP.join(row)) <= room for row in laid)
    assert [row[0].strip() for row in laid] == ["JOB", *(row[0] for row in ROWS)]
    starts = [[width(GAP.join(row[:at])) for at in range(len(row))] for row in laid]
    assert all(one == starts[0] for one in starts), "columns stand below each other"


def test_what_matters_least_is_left_out_before_what_matters_is_cut_short() -> None:
    header, first, *_ = table(ROW, ROWS, 1, 80, SPARE)
    assert "TASK" not in "".join(header) and {"PROJECT", "LOSS"} <= {c.strip() for c in header}
    assert "running 9 min" in "".join(first) and "$0.19" in first
    header, *_ = table(ROW, ROWS, 1, 60, SPARE)
    assert [c.strip() for c in header] == ["JOB", "PROJECT", "STATE", "LOSS", "COST"]
    whole = [[cell.strip() for cell in row] for row in table(ROW, ROWS, 1, None, SPARE)]
    assert whole == [list(ROW), *map(list, ROWS)], "a pipe gets all"


class Still(SystemClock):
    """A clock that stands still between what moves it."""

    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


def test_what_is_quiet_is_asked_ever_more_seldom_and_what_changes_soon_again() -> None:
    clock = Still()
    pace = Pace(clock)
    waits = []
    for _ in range(30):
        assert pace.due("k")
        pace.asked("k", news=False)
        began = clock.seconds
        while not pace.due("k"):
            clock.seconds += 0.125
        waits.append(clock.seconds - began)
    assert waits[0] == pytest.approx(ASK_SECONDS, abs=0.2)
    assert waits == sorted(waits) and waits[-1] == pytest.approx(ASK_SECONDS_MOST, abs=0.2)
    assert pace.due("another"), "each has a pace of its own"
    pace.asked("k", news=True)
    clock.seconds += ASK_SECONDS
    assert pace.due("k")


def test_the_list_is_painted_anew_in_its_place_until_ctrl_c(
    laptop: Laptop, records: Records
) -> None:
    name = begin(records)
    words = ("jobs", "--watch", "--offline")
    with terminal(*words, cwd=laptop.home, environ=laptop.environ, term="xterm") as shown:
        shown.until(name), shown.until("Ctrl-C ends this watch")
        records.add(name, [Progress(step=7, total_steps=9, at=NOW, seq=2)])
        painted = shown.until("7/9")
        assert "\x1b[1A" in painted and "\x1b[2K" in painted, "over what stood there"
        another = begin(records, "spam")
        shown.until(another), shown.until("7/9"), shown.until("Ctrl-C")
        assert shown.end(CTRL_C) == DETACHED
    assert "Traceback" not in shown.shown and "\x1b[?25h" in shown.shown[-200:], "a cursor again"


def test_a_provider_that_is_silent_holds_up_no_picture(
    laptop: Laptop, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", laptop.hub.endpoint)  # whose job it is
    name = begin(records)
    records.add(name, [Launched(handle="spaces://ann/silent", at=NOW, source="laptop")])
    laptop.hub.fault({"delay": 2 * PATIENCE}, path="/api/spaces/ann/silent.*")
    with terminal(
        *("jobs", "--watch"), cwd=laptop.home, environ=laptop.environ, term="xterm"
    ) as shown:
        shown.until(name)
        until(lambda: laptop.hub.requests("/api/spaces/ann/silent.*"))
        records.add(name, [Progress(step=7, total_steps=9, at=NOW, seq=2)])
        shown.until("7/9")
        assert "Nothing costs now" not in shown.shown
        assert shown.end(CTRL_C) == DETACHED
    laptop.hub.clear_faults()


def test_in_a_pipe_only_what_changes_is_a_line(laptop: Laptop, records: Records) -> None:
    over, name = begin(records, "done-before"), begin(records)
    records.add(over, [Finished(at=NOW, seq=2)])
    with_lines = laptop.start("jobs", "-w", "--offline", HUBTRAIN_HOME=str(laptop.home))
    with_json = laptop.start("jobs", "--watch", "--offline", "--json")
    assert with_lines.stdout and with_json.stdout
    first = with_lines.stdout.readline()
    assert first.split(" · ")[:2] == [f"  {name}", "support-bot"] and "running" in first
    assert json.loads(with_json.stdout.readline())["job"] == name
    records.add(name, [Failed(reason=EndReason.OOM, message="", at=NOW, seq=2)])
    assert "failed (oom)" in with_lines.stdout.readline()
    told = json.loads(with_json.stdout.readline())
    assert (told["job"], told["state"], told["reason"]) == (name, "failed", "oom")
    records.remove(name, NOW)
    assert with_lines.stdout.readline() == f"  {name} · removed\n"
    assert json.loads(with_json.stdout.readline()) == {"job": name, "removed": True}
    for process in (with_lines, with_json):
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, out, err.strip()) == (DETACHED, "", "")
