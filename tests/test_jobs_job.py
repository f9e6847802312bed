"""A job that runs as a Job of the Hub, with the real command line against a local Hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from benches.jobs import cancel_all
from standins.laptop import Laptop, Said, finish, processes
from standins.localhub import HubServer
from standins.waiting import until
from tiny_llm import chats, write_model, write_rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

MODEL = "ann/tiny"
STEPS = 800
"""Enough to look at the page of a job that trains."""


@pytest.fixture(scope="module")
def hub(shared_hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> HubServer:
    """Return a Hub that has the base model."""
    shared_hub.api().create_repo(MODEL)
    model = write_model(tmp_path_factory.mktemp("tiny"))
    shared_hub.api().upload_folder(repo_id=MODEL, folder_path=model)
    return shared_hub


@pytest.fixture
def laptop(hub: HubServer, tmp_path: Path) -> Iterator[Laptop]:
    write_rows(tmp_path / "chats.jsonl", chats(40))
    hub.forget_requests()
    yield Laptop(tmp_path / "home", hub)
    hub.clear_faults()
    cancel_all(hub)


def train(project: str, steps: int, *more: str) -> tuple[str, ...]:
    return (
        *("llm", "--train", "--trainer", "sft", "--peft", "--model", MODEL),
        *("--data-path", "chats.jsonl", "--project-name", project, "--backend", "jobs-cpu-basic"),
        *("--push-to-hub", "--username", "ann", "--json", "--model-max-length", "64"),
        *("--batch-size", "1", "--gradient-accumulation", "1", "--max-steps", str(steps), *more),
    )


def running(laptop: Laptop) -> dict[str, Any]:
    found: dict[str, Any] = until(
        lambda: next((j for j in laptop.jobs() if j["step"]), None), 90, every=0.5
    )
    return found


def told(hub: HubServer) -> list[dict[str, Any]]:
    """Return all Jobs of ann's, as the Hub's API tells them."""
    with hub.http() as http:
        answer: list[dict[str, Any]] = http.get("/api/jobs/ann").json()
    return answer


def costing(hub: HubServer) -> list[Any]:
    return [bill for bill in hub.admin("GET", "bills") if bill["costing"]]


def test_the_main_job(laptop: Laptop) -> None:
    process = laptop.start(*train("bot", STEPS, "--jobs-page", "--max-cost", "1"))
    try:
        _its_page_opens_to_its_key(laptop, running(laptop))
    finally:
        said = finish(process)
    assert said.code == 0, said.err + said.out
    job = said.document
    assert (job["state"], job["reason"], job["step"]) == ("succeeded", "ok", STEPS)
    assert job["costing"] is False and costing(laptop.hub) == []
    assert processes(job["job"]) == {}
    (ran,) = told(laptop.hub)
    assert job["handle"] == f"jobs://ann/{ran['id']}"
    assert (ran["status"]["stage"], ran["labels"]["hubtrain-job"]) == ("COMPLETED", job["job"])
    assert ran["timeoutSeconds"] == 180_000 + 900, "a dollar, at a cent an hour and one for a page"
    api = laptop.hub.api()
    assert api.model_info("ann/bot").sha == job["commit"] and api.model_info("ann/bot").private
    _no_secret_anywhere(laptop, said, ran["id"])
    other = Laptop(laptop.home.parent / "other", laptop.hub)
    assert other.run("status", job["handle"], "--json").document["state"] == "succeeded"
    assert laptop.run("gc", "--yes", "--json").document["stopped"] == []
    assert laptop.run("rm", job["job"]).code == 0
    assert f"ann/bot-{job['job']}" not in [d.id for d in api.list_datasets(author="ann")]
    assert not any(name.startswith("hubtrain") for name in told(laptop.hub)[0]["labels"])


def _its_page_opens_to_its_key(laptop: Laptop, job: dict[str, Any]) -> None:
    words = laptop.run("status", job["job"]).out.split()
    address = urlsplit(next(word for word in words if "?key=" in word))
    assert address.hostname and "--7860" in address.hostname
    key = parse_qs(address.query)["key"][0]
    there = {
        "Host": address.netloc,
        "Authorization": f"Bearer {laptop.hub.tokens['ann']}",
    }
    with httpx2.Client(base_url=laptop.hub.endpoint, headers=there, timeout=60) as http:
        assert http.get("/log").status_code == httpx2.codes.UNAUTHORIZED
        let_in = http.get("/", params={"key": key})
        cookie = let_in.headers["set-cookie"].partition(";")[0]
        log = http.get("/log", headers={"Cookie": cookie})
    assert log.status_code == httpx2.codes.OK and "Training begins" in log.text


def _no_secret_anywhere(laptop: Laptop, said: Said, ran: str) -> None:
    canary, api = laptop.hub.tokens["ann"], laptop.hub.api()
    assert canary not in said.out + said.err + json.dumps(told(laptop.hub))
    kept = [p for p in laptop.home.rglob("*") if p.is_file()]
    assert kept and [p for p in kept if canary.encode() in p.read_bytes()] == []
    repos = [
        *((m.id, "model") for m in api.list_models(author="ann")),
        *((d.id, "dataset") for d in api.list_datasets(author="ann")),
    ]
    assert len(repos) >= 4
    for name, kind in repos:
        folder = api.snapshot_download(name, repo_type=kind, cache_dir=laptop.home.parent / "c")
        for path in (p for p in Path(folder).rglob("*") if p.is_file()):
            assert canary.encode() not in path.read_bytes(), f"{name}: {path.name}"
    assert canary not in "".join(api.fetch_job_logs(job_id=ran, namespace="ann"))


def test_a_laptop_killed_while_it_asks_for_the_job(laptop: Laptop) -> None:
    """The Hub has heard it, the laptop does not know: the same command again finds that Job."""
    before = {one["id"] for one in told(laptop.hub)}
    laptop.hub.fault({"delay": 30}, method="GET", path="/api/jobs/ann$", nth=2)  # after it asked
    words = train("killed", 10_000, "--detach")
    process = laptop.start(*words)
    until(lambda: any(r["happened"] for r in laptop.hub.admin("GET", "faults")), 60)
    process.kill()
    process.communicate()
    laptop.hub.clear_faults()
    again = laptop.run(*words)
    assert again.code == 0, again.err
    (made,) = [one for one in told(laptop.hub) if one["id"] not in before]
    assert again.document["handle"] == f"jobs://ann/{made['id']}"
    assert laptop.run("cancel", again.document["job"]).code == 0
    assert costing(laptop.hub) == []


def test_a_token_that_is_revoked_in_the_middle(laptop: Laptop) -> None:
    process = laptop.start(*train("revoked", 100_000, "--max-duration", "40s"))
    job = running(laptop)
    token = laptop.hub.tokens["ann"]
    laptop.hub.admin("PUT", "tokens", {"token": token, "revoked": True})
    try:
        assert finish(process).code == 1
        until(lambda: not costing(laptop.hub), 120)
    finally:
        laptop.hub.admin("PUT", "tokens", {"token": token, "revoked": False})
    ended = laptop.run("status", job["job"], "--json").document
    assert (ended["state"], ended["reason"], ended["costing"]) == ("failed", "deadline", False)
    assert processes(job["job"]) == {}
