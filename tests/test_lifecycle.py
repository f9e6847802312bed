"""Jobs and deployments from any process: found, listed, explained, removed, whoever made them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from benches.spaces import job, with_standin
from standins.bench import without_spaces
from standins.laptop import Laptop
from standins.localhub import HubServer
from standins.terminal import terminal

from backends.handle import Handle
from backends.spaces import Spaces
from orchestrator.deploy.documents import Deployment
from orchestrator.jobs.deployments import DeploymentRecord, Deployments
from orchestrator.jobs.glance import kept
from orchestrator.jobs.records import Records
from orchestrator.jobs.seen import glance_of
from worker.contract import (
    CancelAsked,
    Event,
    Failed,
    Finished,
    Launched,
    Machine,
    Observed,
    Progress,
    Start,
    Started,
    to_line,
)
from worker.contract.reason import EndReason
from worker.errors import BadConfig

NOW = datetime.now(UTC)


@pytest.fixture
def hub(shared_hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setenv("HF_ENDPOINT", shared_hub.endpoint)
    yield from without_spaces(shared_hub)


@pytest.fixture
def laptop(hub: HubServer, tmp_path: Path) -> Laptop:
    return Laptop(tmp_path / "home", hub)


def test_jobs_that_this_laptop_never_knew_are_found_and_followed(
    laptop: Laptop, hub: HubServer
) -> None:
    spaces, spec = Spaces(hub.tokens["ann"]), job(params={"lines": 3})
    handle = spaces.launch(with_standin(spaces.plan(spec)), {})
    assert laptop.run("jobs", "--json").document == []
    shown = laptop.run("jobs", "--remote")
    assert shown.code == 0, shown.err
    assert f"{spec.job_id}  support-bot" in shown.out and f"logs -f {handle}" in shown.out
    (found,) = laptop.run("jobs", "--remote", "--json").document
    assert (found["job"], found["handle"]) == (spec.job_id, str(handle))
    assert laptop.jobs() == [], "nothing of it was written down"
    assert laptop.run("status", str(handle)).code == 0
    hub.api().move_repo(handle.path, "ann/mine", repo_type="space")
    assert "On no record here" not in laptop.run("jobs", "--remote").out
    swept = laptop.run("gc", "--json").document
    assert swept["running"] == [str(handle)], "a Space that was renamed is one machine"
    (cancelled,) = laptop.run("cancel", str(handle), "--json").document
    assert cancelled["state"] == "cancelled"
    known = laptop.run("jobs", "--remote").out
    assert known.count(spec.job_id) == 1 and "On no record here" not in known
    assert laptop.run("jobs", "--remote", "--offline").code == 2


def test_a_deployment_that_is_gone_costs_nothing_and_is_forgotten(laptop: Laptop) -> None:
    deployments = Deployments(Records(laptop.home))
    gone = Handle("space", "ann/gone-chat")
    deployments.put(DeploymentRecord(gone, "ann/gone", "t4-small", 0.4, NOW))
    explained = laptop.run("status", "gone-chat")
    assert explained.code == 1 and "is gone" in explained.out
    said = laptop.run("cancel", "gone-chat", "--json")
    assert said.code == 0
    told = Deployment(deployment=str(gone), stage="gone", ready=False, costing=False)
    assert said.document == [told.model_dump()]
    assert deployments.all() == []


def test_a_name_of_two_deployments_is_neither(laptop: Laptop) -> None:
    deployments = Deployments(Records(laptop.home))
    for path in ("ann/bot-chat", "lab/bot-chat"):
        where = Handle("space", path)
        deployments.put(DeploymentRecord(where, "ann/bot", "cpu-basic", 0.0, NOW))
    with pytest.raises(BadConfig, match=r"space://lab/bot-chat or space://ann/bot-chat|ann.* or "):
        deployments.named("bot-chat")
    said = laptop.run("cancel", "bot-chat")
    assert said.code == 2 and "space://ann/bot-chat" in said.err and "space://lab" in said.err
    assert deployments.named("lab/bot-chat") == Handle("space", "lab/bot-chat")


def test_a_job_of_a_backend_that_is_not_here_is_told_and_the_rest_goes_on(laptop: Laptop) -> None:
    records, spec = Records(laptop.home), job(machine=Machine(backend="mars"))
    records.claim("f", lambda: spec, NOW)
    records.add(spec.job_id, [Launched(handle="mars://ann/1", at=NOW, source="laptop")])
    listed = laptop.run("jobs")
    assert listed.code == 1 and spec.job_id in listed.out
    assert "There is no backend 'mars' here" in listed.out
    assert "Use the version of hubtrain that launched the job" in listed.out
    assert laptop.run("status", spec.job_id).code == 1
    swept = laptop.run("gc", "--json").document
    assert [text.partition(":")[0] for text in swept["unanswered"]] == ["mars"]


def test_rm_asks_on_a_terminal_and_nowhere_else(laptop: Laptop) -> None:
    records, specs = Records(laptop.home), [job(), job(), job()]
    for number, spec in enumerate(specs):
        records.claim(str(number), lambda spec=spec: spec, NOW)  # type: ignore[misc]
    one, two, three = (spec.job_id for spec in specs)
    environ = laptop.environ | {"CI": ""}
    del environ["CI"]
    with terminal("rm", one, cwd=laptop.home, environ=environ) as asked:
        asked.until("Models stay. [y/N]")
        asked.type("n\n")
        assert asked.end() == 1
    with terminal("rm", "--yes", two, cwd=laptop.home, environ=environ) as told:
        told.until(f"Removed {two}")
        assert told.end() == 0
    assert laptop.run("rm", three).code == 0
    assert [found["job"] for found in laptop.jobs()] == [one]


LIFE: list[Event] = [
    Launched(handle="spaces://ann/p", at=NOW, source="laptop"),
    Observed(stage="RUNNING", alive=True, costing=True, at=NOW, source="laptop"),
    Started(job_id="k", at=NOW, seq=1),
    Progress(step=1, total_steps=2, at=NOW, seq=2),
    CancelAsked(at=NOW, source="laptop"),
    Failed(reason=EndReason.OOM, message="", at=NOW, seq=3),
    Observed(stage="PAUSED", alive=False, costing=False, at=NOW, source="laptop"),
    Finished(at=NOW, seq=4),
]


def test_what_is_kept_of_a_job_never_says_otherwise_than_its_events(tmp_path: Path) -> None:
    """Whoever writes them, also a version that knows nothing of what is kept."""
    records, spec = Records(tmp_path), job()
    records.claim("f", lambda: spec, NOW)

    def agrees() -> None:
        known = kept(tmp_path)
        assert known is None or known == [glance_of(records.get(spec.job_id))]
        assert records.glances() == [glance_of(records.get(spec.job_id))] == kept(tmp_path)

    for event in LIFE:
        agrees()
        records.add(spec.job_id, [event])
    agrees()
    records.asked(spec.job_id, NOW)
    agrees()
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite")) as db, db:
        line = to_line(Progress(step=2, total_steps=2, at=NOW, seq=9))
        db.execute("insert into events values (?, 'worker', 9, ?)", (spec.job_id, line))
    assert kept(tmp_path) is None, "what was kept went with the event"
    agrees()
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite")) as db, db:
        db.execute("update glances set version = 'another', glance = '[]'")
    agrees()
    records.remove(spec.job_id, NOW)
    assert records.glances() == []


def test_a_list_on_a_narrow_screen_keeps_what_is_typed_again(laptop: Laptop) -> None:
    records, spec = Records(laptop.home), job(project="x" * 70)
    records.claim("f", lambda: spec, NOW)
    narrow = laptop.environ | {"COLUMNS": "80"}
    with terminal("jobs", "--offline", cwd=laptop.home, environ=narrow) as listed:
        assert listed.end() == 0
    header, row = (line for line in listed.shown.splitlines() if line.strip())
    assert row.startswith(spec.job_id) and "x…" in row and len(row) <= 80
    assert header.startswith("JOB")


def test_json_of_a_job_is_the_same_in_every_command(laptop: Laptop) -> None:
    records, spec = Records(laptop.home), job()
    records.claim("f", lambda: spec, NOW)
    records.add(spec.job_id, [*LIFE])
    (listed,) = laptop.jobs()
    shown = laptop.run("status", spec.job_id, "--json").document
    assert json.dumps(listed) == json.dumps(shown)


def test_a_resume_of_what_was_gone_on_with_says_by_which_job(laptop: Laptop) -> None:
    records, first = Records(laptop.home), job()
    start = Start(jobs=(first.job_id,), step=1, repo_id="ann/bot", revision="c" * 40)
    second = first.model_copy(update={"job_id": "second", "start": start})
    gone = Observed(stage="PAUSED", alive=False, costing=False, at=NOW, source="laptop")
    failed = Failed(reason=EndReason.OOM, message="", at=NOW, seq=1)
    for spec, end in ((first, failed), (second, Finished(at=NOW, seq=1))):
        records.claim(spec.job_id, lambda spec=spec: spec, NOW)  # type: ignore[misc]
        records.add(spec.job_id, [end, gone])
    said = laptop.run("resume", first.job_id, "--lr", "0.1")
    assert said.code == 0, said.out + said.err
    assert f"{first.job_id} was gone on with and has been done as second" in said.out
