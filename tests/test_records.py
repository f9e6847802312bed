"""Records: what is written down stays, once, whoever writes."""

import json
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backends.handle import Handle
from orchestrator.jobs.client import Client
from orchestrator.jobs.deployments import DeploymentRecord
from orchestrator.jobs.glance import Glance
from orchestrator.jobs.records import Records
from worker.contract import (
    Checkpoint,
    DataRef,
    EndReason,
    Event,
    Failed,
    Finished,
    JobSpec,
    Launched,
    Machine,
    ModelRef,
    Observed,
    Phase,
    Progress,
    Start,
    Started,
    State,
    Stopped,
    fold,
    from_line,
    marked,
    to_line,
)
from worker.errors import BadConfig, HubtrainError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def spec(job_id: str) -> JobSpec:
    return JobSpec(
        job_id=job_id,
        project="p",
        task="llm",
        params={},
        model=ModelRef(name="m"),
        data=DataRef(),
        machine=Machine(backend="local"),
    )


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path / "home")


def test_the_same_order_is_the_same_job_until_it_has_ended(records: Records) -> None:
    first = records.claim("f", lambda: spec("aaa"), NOW)
    again = records.claim("f", lambda: spec("bbb"), NOW)
    assert (first.job_id, again.job_id) == ("aaa", "aaa")
    records.add("aaa", [Finished(at=NOW, seq=1)])
    assert records.claim("f", lambda: spec("bbb"), NOW).job_id == "bbb"
    assert [r.job_id for r in records.all()] == ["bbb", "aaa"]


def test_a_job_that_succeeds_while_the_same_is_checked_is_not_done_twice(records: Records) -> None:
    records.claim("f", lambda: spec("aaa"), NOW)
    records.add("aaa", [Finished(at=NOW, seq=1)])
    assert records.claim("f", lambda: spec("bbb"), NOW, ended=()).job_id == "aaa"
    assert records.claim("f", lambda: spec("bbb"), NOW, ended=["aaa"]).job_id == "bbb"


def test_two_that_ask_at_once_get_one_job(records: Records, tmp_path: Path) -> None:
    ids = iter([f"id{n}" for n in range(16)])

    def claim(_: int) -> str:
        return Records(tmp_path / "home").claim("f", lambda: spec(next(ids)), NOW).job_id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(claim, range(16)))) == 1


def test_who_writes_a_job_down_sees_all_others_and_may_be_kept_out(records: Records) -> None:
    seen: list[list[str]] = []

    def admit(jobs: list[Glance]) -> None:
        seen.append([job.job_id for job in jobs])
        if jobs:
            raise BadConfig("no money is left.")

    records.claim("f", lambda: spec("aaa"), NOW, admit=admit)
    assert records.claim("f", lambda: spec("bbb"), NOW, admit=admit).job_id == "aaa"
    with pytest.raises(BadConfig, match="no money"):
        records.claim("g", lambda: spec("bbb"), NOW, admit=admit)
    assert seen == [[], ["aaa"]] and [r.job_id for r in records.all()] == ["aaa"]


def test_a_worker_event_read_twice_counts_once(records: Records) -> None:
    records.claim("f", lambda: spec("aaa"), NOW)
    progress = Progress(step=1, total_steps=2, seq=7, at=NOW)
    assert records.add("aaa", [progress]) == [progress]
    assert records.add("aaa", [progress]) == []
    own = records.add("aaa", [Launched(handle="local://aaa", at=NOW, source="laptop")])
    assert [e.seq for e in own] == [2], "Created was the laptop's first"


def test_jobs_are_found_by_the_start_of_their_id(records: Records) -> None:
    for job_id in ("abc", "abd", "x"):
        records.claim(job_id, lambda job_id=job_id: spec(job_id), NOW)  # type: ignore[misc]
    assert records.get("abc").job_id == "abc"
    assert records.get("x").job_id == "x"
    with pytest.raises(BadConfig, match="abd, abc"):
        records.get("ab")
    with pytest.raises(BadConfig, match="no job 'q'"):
        records.get("q")
    records.remove("abc", NOW)
    records.remove("abc", NOW)
    assert records.get("ab").job_id == "abd"


def test_a_name_of_a_deployment_and_a_job_is_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBTRAIN_HOME", str(tmp_path))
    client, handle = Client(), Handle("endpoint", "ann/p")
    now = client.clock.now()
    client.deployments.put(DeploymentRecord(handle, "ann/p", "t4", 0.5, now))
    assert client.deployment("p") == handle
    client.records.claim("f", lambda: spec("k4x7qp"), now)
    with pytest.raises(BadConfig, match="endpoint://ann/p, k4x7qp"):
        client.deployment("p")


def test_an_empty_name_is_not_the_start_of_the_only_job(records: Records) -> None:
    records.claim("f", lambda: spec("abc"), NOW)
    for name in ("", "*", "a*", "[a]bc"):
        with pytest.raises(BadConfig):
            records.get(name)


def test_a_name_with_half_a_character_is_no_jobs(records: Records) -> None:
    with pytest.raises(BadConfig, match="no job"):
        records.get("bad\udcff")
    assert records.find("\ud83d") is None and records.of_sweep("\ud83d") == []


def test_events_of_a_job_that_was_removed_meanwhile_are_refused(records: Records) -> None:
    with pytest.raises(BadConfig, match="no job 'abc'"):
        records.add("abc", [Finished(seq=1)])


def test_a_broken_file_and_a_record_of_another_version_are_said(
    records: Records, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "home" / "jobs.sqlite")) as db, db:
        db.execute(
            "insert into jobs (job_id, fingerprint, spec)"
            " values ('new', '', '{\"schema_version\": 2}')"
        )
    with pytest.raises(HubtrainError, match="another version of hubtrain"):
        records.all()
    for file in (tmp_path / "home").iterdir():
        file.write_bytes(b"no database" * 100)
    with pytest.raises(HubtrainError, match="cannot keep records"):
        records.all()


def test_a_process_killed_while_writing_leaves_whole_records(
    records: Records, tmp_path: Path
) -> None:
    code = f"""
import itertools, os, sys
from datetime import UTC, datetime
from pathlib import Path
from orchestrator.jobs.records import Records
from tests.test_records import spec
from worker.contract import Progress
records = Records(Path({str(tmp_path / "home")!r}))
records.claim("f", lambda: spec("aaa"), datetime.now(UTC))
print("ready", flush=True)
for n in itertools.count(1):
    records.add("aaa", [Progress(step=n, total_steps=n, seq=n)])
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        while len(records.get("aaa").events) < 20:
            pass
        child.kill()
    steps = [e.step for e in records.get("aaa").events if isinstance(e, Progress)]
    assert steps == list(range(1, len(steps) + 1))


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HubtrainError, match="HUBTRAIN_HOME"):
        Records(tmp_path / "file" / "home")


def test_events_survive_the_wire_and_other_lines_are_not_events() -> None:
    event = Failed(reason=EndReason.OOM, message="x", at=NOW)
    assert from_line(marked(event)) == event == from_line(to_line(event) + "\n")
    for line in ("", "loss 1.2", "{}", '@hubtrain {"kind":"nonsense"}', '{"kind":"failed"}'):
        assert from_line(line) is None


def test_the_first_ending_stands() -> None:
    story = fold([Stopped(reason=EndReason.USER), Failed(reason=EndReason.HUNG, message="late")])
    assert (story.state, story.reason) == (State.CANCELLED, EndReason.USER)


def test_a_job_that_finished_has_succeeded_although_somebody_wished_to_stop_it() -> None:
    story = fold([Stopped(reason=EndReason.USER, message="x"), Finished()])
    assert (story.state, story.reason, story.message) == (State.SUCCEEDED, EndReason.OK, "")


def test_a_second_launcher_who_is_late_does_not_put_a_job_back_in_the_queue() -> None:
    late = Launched(handle="local://a", source="laptop")
    assert fold([late, Started(job_id="a"), late]).state is State.RUNNING
    assert fold([late, Stopped(reason=EndReason.USER), late]).state is State.CANCELLED


def test_a_machine_that_is_gone_without_a_word_is_a_lost_job() -> None:
    gone = Observed(stage="RUNTIME_ERROR", alive=False, costing=False)
    started = Started(job_id="a")
    assert fold([started, gone]).state is State.LOST
    assert fold([started, gone, Finished()]).state is State.SUCCEEDED
    back = Observed(stage="RUNNING", alive=True, costing=True)
    assert fold([started, gone, back]).state is State.RUNNING
    assert fold([started, Finished(), gone]).state is State.SUCCEEDED


def test_reasons_have_exit_codes_of_their_own() -> None:
    codes = [reason.exit_code for reason in EndReason]
    assert len(set(codes)) == len(codes)
    assert all(
        (code == 0) == (reason is EndReason.OK)
        for code, reason in zip(codes, EndReason, strict=True)
    )


TOLD_BEFORE: list[Event] = [
    Started(at=NOW, seq=7, job_id="aaa"),
    Phase(at=NOW, seq=8, name="packing"),
    Progress(at=NOW, seq=9, step=1, total_steps=2, units=64, unit="tokens", units_per_second=8),
]
"""What an old record tells, as it is read today."""


def old_home(home: Path) -> Path:
    """Make the records of a version that counted attempts, and return their folder."""
    home.mkdir()
    job = spec("aaa").model_dump(mode="json") | {"attempt": 1}
    job["data"] |= {"config": None}
    told = [json.loads(to_line(event)) | {"attempt": 1} for event in TOLD_BEFORE]
    told[1] |= {"done": 0.5}
    del told[2]["unit"]
    told[2]["tokens"] = told[2].pop("units")
    told[2]["tokens_per_second"] = told[2].pop("units_per_second")
    rows = [("aaa", "worker", 1, event["seq"], json.dumps(event)) for event in told]
    with closing(sqlite3.connect(home / "jobs.sqlite")) as db, db:
        db.executescript(
            "create table jobs (job_id text primary key, fingerprint text not null,"
            " spec text not null);"
            "create table events (job_id text not null references jobs (job_id) on delete cascade,"
            " source text not null, attempt integer not null, seq integer not null,"
            " line text not null, primary key (job_id, source, attempt, seq));"
        )
        db.execute("insert into jobs values ('aaa', 'f', ?)", (json.dumps(job),))
        db.executemany("insert into events values (?, ?, ?, ?, ?)", rows)
    return home


def test_records_of_an_earlier_version_are_read_and_go_on(tmp_path: Path) -> None:
    home = old_home(tmp_path / "home")
    for _ in range(2):  # it is brought over once
        records = Records(home)
        assert list(records.get("aaa").events) == TOLD_BEFORE
    end = Finished(at=NOW, seq=10)
    assert records.add("aaa", [TOLD_BEFORE[2], end]) == [end]
    assert records.get("aaa").story.state is State.SUCCEEDED
    records.remove("aaa", NOW)
    with closing(sqlite3.connect(home / "jobs.sqlite")) as db:
        assert db.execute("select count(*) from events").fetchone() == (0,)


def test_old_records_may_be_brought_over_by_many_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(Records, [old_home(tmp_path / "home")] * 8))
    assert [[list(record.events) for record in r.all()] for r in found] == [[TOLD_BEFORE]] * 8


def resumed(job_id: str, folder: Path, *earlier: str) -> JobSpec:
    """Return a job that begins at a checkpoint on a disk."""
    start = Start(jobs=earlier, step=2, folder=str(folder))
    return spec(job_id).model_copy(update={"start": start})


@pytest.fixture
def checkpoint(records: Records, tmp_path: Path) -> Path:
    """What the job `first`, which has failed, has left on this disk."""
    records.claim("first", lambda: spec("first"), NOW)
    records.add("first", [Failed(reason=EndReason.HUNG, message="", at=NOW, source="worker")])
    folder = tmp_path / "runs" / "first" / "work" / "checkpoints" / "checkpoint-2"
    folder.mkdir(parents=True)
    return folder


def test_a_job_is_not_removed_while_another_has_yet_to_begin_on_its_disk(
    records: Records, checkpoint: Path
) -> None:
    records.claim("second", lambda: resumed("second", checkpoint, "first"), NOW)
    with pytest.raises(BadConfig, match="second goes on from the checkpoint of first") as refused:
        records.begin_removal("first")
    assert "hubtrain rm --force second" in refused.value.fix
    records.add("second", [Checkpoint(step=4, where="/elsewhere", seq=1, source="worker")])
    records.begin_removal("first")


def test_no_job_begins_on_a_disk_that_is_being_cleared(records: Records, checkpoint: Path) -> None:
    records.begin_removal("first")
    with pytest.raises(BadConfig, match="the checkpoint of first is being removed"):
        records.claim("second", lambda: resumed("second", checkpoint, "first"), NOW)
    assert [job.job_id for job in records.glances()] == ["first"]


def test_who_left_nothing_offers_no_checkpoint_that_is_gone(
    records: Records, checkpoint: Path
) -> None:
    ended = Failed(reason=EndReason.HUNG, message="", at=NOW, source="worker")
    for job_id, before in (("second", ("first",)), ("third", ("first", "second"))):
        made = resumed(job_id, checkpoint, *before)
        records.claim(job_id, lambda made=made: made, NOW)  # type: ignore[misc]
        records.add(job_id, [ended])
    assert [job.resumable for job in records.glances()] == [True, True, False]
    records.begin_removal("first")
    checkpoint.rmdir()
    records.remove("first", NOW)
    assert [job.resumable for job in records.glances()] == [False, False]
