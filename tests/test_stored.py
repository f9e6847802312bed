"""The private datasets of packed data: found, named, and removed unless a job reads them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from standins.laptop import Laptop, finish
from standins.localhub import HubServer
from standins.waiting import until
from test_gc import SPEC

from orchestrator.data.package.notes import UNSEEN_SECONDS, notes
from orchestrator.jobs.client import Client
from orchestrator.jobs.holding import held, held_alone
from orchestrator.jobs.records import Records
from orchestrator.jobs.stored import InUse, discard, stored
from worker.clock import SystemClock
from worker.contract import DataRef, EndReason, Failed

NOW = datetime.now(UTC)


def dataset(hub: HubServer, digit: str, name: str = "hubtrain-data-") -> str:
    repo_id = f"ann/{name}{digit * 12}"
    hub.api().create_repo(repo_id, repo_type="dataset", private=True)
    hub.api().upload_file(
        repo_id=repo_id, repo_type="dataset", path_or_fileobj=b"x" * 5000, path_in_repo="a.parquet"
    )
    return repo_id


def job(home: Path, job_id: str, repo_id: str, *, ended: bool) -> None:
    spec = SPEC.model_copy(update={"job_id": job_id, "data": DataRef(repo_id=repo_id)})
    records = Records(home)
    records.claim(job_id, lambda: spec, NOW)
    if ended:
        said = Failed(reason=EndReason.PROVIDER, message="x", at=NOW, source="laptop")
        records.add(job_id, [said])


@pytest.fixture
def laptop(shared_hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Laptop:
    monkeypatch.setenv("HF_ENDPOINT", shared_hub.endpoint)
    return Laptop(tmp_path / "home", shared_hub)


def test_gc_lists_packed_data_and_removes_what_no_job_reads(laptop: Laptop) -> None:
    free, read = dataset(laptop.hub, "a"), dataset(laptop.hub, "b")
    mine = dataset(laptop.hub, "c", name="notes-")
    job(laptop.home, "aaa", free, ended=True)
    job(laptop.home, "bbb", read, ended=False)
    listed = laptop.run("gc", "--data", "--json")
    assert listed.code == 0, listed.err
    assert listed.document["data"] == [
        {"repo_id": free, "bytes": 6519, "used_by": [], "removed": False},
        {"repo_id": read, "bytes": 6519, "used_by": ["bbb"], "removed": False},
    ]
    said = laptop.run("gc", "--data", "--yes")
    assert said.code == 0, said.err
    assert f"{free} · 6.5 kB · read by no running job" in said.out
    assert f"{read} · 6.5 kB · read by bbb" in said.out
    assert {d.id for d in laptop.hub.api().list_datasets(author="ann")} == {read, mine}
    elsewhere = laptop.run("gc", "--data", "--yes", HUBTRAIN_HOME=str(laptop.home / "other"))
    assert f"{read} · 6.5 kB · sent just now: its job may be being launched" in elsewhere.out
    assert laptop.hub.api().repo_exists(read, repo_type="dataset")


class Later(SystemClock):
    """A clock that is an hour ahead, or so many days, by which what is sent now was long ago."""

    def __init__(self, days: int = 0) -> None:
        self.ahead = timedelta(days=days, hours=1)

    def now(self) -> datetime:
        return super().now() + self.ahead

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, 0.05))


@pytest.fixture
def computers(laptop: Laptop, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Client]:
    """Return clients of computers, by name; the one that is named last is the one we are at."""

    def at(name: str) -> Client:
        monkeypatch.setenv("HUBTRAIN_HOME", str(laptop.home / name))
        return Client(clock=Later(), given_token=laptop.hub.tokens["ann"])

    return at


def test_data_used_again_elsewhere_stays(
    laptop: Laptop, computers: Callable[[str], Client]
) -> None:
    """Though nothing of the job that will read it is to be seen yet."""
    repo_id, api = dataset(laptop.hub, "f"), laptop.hub.api()
    here = computers("here")
    assert [one.free for one in stored(here, ["ann"], []) if one.repo_id == repo_id] == [True]
    there = computers("there")
    use = notes(repo_id, api, there.clock).use
    assert use() and use()
    here = computers("here")
    assert [one.free for one in stored(here, ["ann"], []) if one.repo_id == repo_id] == [False]
    with pytest.raises(InUse, match="another computer uses it"):
        discard(here, repo_id)
    tags = [tag.name for tag in api.list_repo_refs(repo_id, repo_type="dataset").tags]
    assert len(tags) == 1 and tags[0].startswith("used-"), "of each computer its last use"
    assert discard(computers("there"), repo_id), "its own use does not keep a computer from it"
    assert not use()


def test_data_of_a_job_that_nobody_else_sees_stays_while_it_may_wait(
    laptop: Laptop, computers: Callable[[str], Client]
) -> None:
    """As a job of Slurm does in its queue; a job of the Hub that uses the same changes nothing."""
    repo_id, api = dataset(laptop.hub, "8"), laptop.hub.api()
    there = computers("there")
    assert notes(repo_id, api, there.clock).use(UNSEEN_SECONDS)
    assert notes(repo_id, api, there.clock).use()
    here = replace(computers("here"), clock=Later(days=29))
    (one,) = (one for one in stored(here, ["ann"], []) if one.repo_id == repo_id)
    assert not one.free and one.used_until
    with pytest.raises(InUse, match="another computer uses it"):
        discard(here, repo_id)
    said = laptop.run("gc", "--data", "--yes")
    day = f"{one.used_until:%Y-%m-%d}"
    assert f"used on another computer, until {day} at most" in said.out
    assert discard(replace(here, clock=Later(days=31)), repo_id)


def test_a_tag_that_only_looks_like_a_note_says_nothing(
    laptop: Laptop, computers: Callable[[str], Client]
) -> None:
    repo_id, api = dataset(laptop.hub, "7"), laptop.hub.api()
    for name in ("used-20269999T999999Z-00000000", "used-for-my-thesis", "used-00000000T000000Z"):
        api.create_tag(repo_id, repo_type="dataset", tag=name)
    assert discard(computers("here"), repo_id)


def test_data_that_is_being_removed_is_waited_for(
    laptop: Laptop, computers: Callable[[str], Client]
) -> None:
    repo_id, api = dataset(laptop.hub, "9"), laptop.hub.api()
    here = computers("here")
    assert notes(repo_id, api, here.clock).may_remove()
    there = computers("there")
    with ThreadPoolExecutor(1) as pool:
        using = pool.submit(notes(repo_id, api, there.clock).use)
        until(lambda: laptop.hub.requests(f"{repo_id}/refs", "GET"))
        api.delete_repo(repo_id, repo_type="dataset")
        assert using.result() is False
    dataset(laptop.hub, "9")
    assert notes(repo_id, api, here.clock).may_remove()  # by one that was killed then
    assert notes(repo_id, api, there.clock).use(), "a note that stays says nothing"
    tags = [tag.name for tag in api.list_repo_refs(repo_id, repo_type="dataset").tags]
    assert "removing" not in tags
    api.delete_repo(repo_id, repo_type="dataset")


def test_a_removal_that_was_cut_short_is_ended(laptop: Laptop) -> None:
    (laptop.home.parent / "run.py").write_text("print('half')\n")
    words = ("spacerunner", "--script-path", "run.py", "--project-name", "half")
    where = ("--username", "ann", "--backend", "jobs-cpu-basic", "--max-duration", "10m")
    begun = laptop.run(*words, *where, "--detach", "--json")
    job_id = begun.document["job"]
    assert laptop.run("cancel", job_id).code == 0
    code = "/api/repos/delete"
    laptop.hub.forget_requests()
    laptop.hub.fault({"delay": 20}, method="DELETE", path=code)
    removing = laptop.start("rm", job_id, "--yes")
    until(lambda: laptop.hub.requests(code, "DELETE"))
    removing.kill()
    removing.communicate()
    laptop.hub.clear_faults()
    listed = laptop.run("jobs")
    assert f"{job_id} is being removed, or that was cut short" in listed.out + listed.err
    ended = laptop.run("gc", "--json")
    assert (ended.code, ended.document["removed"]) == (0, [job_id]), ended.err
    assert laptop.jobs() == []
    assert not laptop.hub.api().repo_exists(f"ann/half-{job_id}", repo_type="dataset")
    assert laptop.run("gc", "--json").document["removed"] == []


def test_data_that_is_being_sent_stays(laptop: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBTRAIN_HOME", str(laptop.home))
    repo_id = dataset(laptop.hub, "e")
    job(laptop.home, "ggg", repo_id, ended=True)
    with held([repo_id]):  # as another process does until its job is on record
        said = laptop.run("gc", "--data", "--yes")
    assert f"{repo_id} stays: it is being sent for a job" in said.out
    assert f"Removed {repo_id}" in laptop.run("gc", "--data", "--yes").out


def test_a_command_sends_no_data_that_another_is_removing(
    laptop: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBTRAIN_HOME", str(laptop.home))
    (laptop.home.parent / "run.py").write_text("print('well')\n")
    words = ("spacerunner", "--script-path", "run.py", "--project-name", "s", "--username", "ann")
    where = ("--backend", "jobs-cpu-basic", "--max-duration", "10m")
    planned = laptop.run(*words, *where, "--dry-run", "--json")
    repo_id = re.findall(r"ann/hubtrain-data-\w+", planned.out)[-1]
    with held_alone(repo_id):
        sending = laptop.start(*words, *where, "--detach")
        assert sending.stdout is not None
        waits = next(line for line in sending.stdout if "waiting" in line.lower())
        assert repo_id in waits
        assert not laptop.hub.api().repo_exists(repo_id, repo_type="dataset")
    sent = finish(sending)
    assert sent.code == 0, sent.out + sent.err
    assert laptop.run("rm", "s", "--force", "--data").code == 0


def test_rm_names_the_data_that_stays_or_removes_it(laptop: Laptop) -> None:
    repo_id = dataset(laptop.hub, "d")
    for job_id in ("ddd", "eee"):
        job(laptop.home, job_id, repo_id, ended=True)
    job(laptop.home, "fff", repo_id, ended=False)
    said = laptop.run("rm", "ddd")
    assert said.code == 0, said.err
    assert f"its data stays: {repo_id} (private); hubtrain gc --data removes it" in said.out
    assert f"its data {repo_id} stays: fff reads it" in laptop.run("rm", "eee", "--data").out
    assert laptop.hub.api().repo_exists(repo_id, repo_type="dataset")
    gone = laptop.run("rm", "fff", "--data", "--json")
    about = {"job": "fff", "data": repo_id, "data_removed": True, "problem": None}
    assert gone.document == [about]
    assert not laptop.hub.api().repo_exists(repo_id, repo_type="dataset")
    assert laptop.jobs() == []


def test_a_job_whose_hub_is_gone_can_be_forgotten(laptop: Laptop) -> None:
    job(laptop.home, "ggg", "ann/chats", ended=False)
    away = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    refused = laptop.run("rm", "ggg", "--json", **away)
    assert refused.code == 1
    assert "hubtrain rm --forget ggg" in json.loads(refused.out)["fix"]
    assert laptop.run("rm", "ggg", "--forget", **away).code == 0
    assert laptop.jobs() == []
