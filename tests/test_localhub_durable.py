"""The local Hub under `kill -9`, restarts and crowds: answers stay true, halves never show."""

from __future__ import annotations

import hashlib
import json
import os
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import psutil
import pytest
from huggingface_hub import CommitOperationAdd, HfApi
from standins.localhub import HubServer
from standins.waiting import PATIENCE, until

HubFactory = Callable[..., HubServer]


def consistent(hub: HubServer, repo: str) -> list[str]:
    """Read all of a repo, checking every file of every commit; return the commits."""
    api = hub.api()
    commits = [one.commit_id for one in api.list_repo_commits(repo)]
    with hub.http() as http:
        for sha in commits:
            numbers = set()
            for item in api.list_repo_tree(repo, recursive=True, revision=sha):
                if item.path == ".gitattributes":
                    continue
                url = f"/{repo}/resolve/{sha}/{item.path}"
                data = http.get(url, follow_redirects=True).content
                assert len(data) == item.size  # type: ignore[union-attr]
                lfs = getattr(item, "lfs", None)
                if lfs is not None:
                    assert hashlib.sha256(data).hexdigest() == lfs.sha256
                numbers.add(data.split(b" ")[0])
            assert len(numbers) <= 1, f"{sha} holds files of several commits: {numbers}"
    return commits


@pytest.mark.slow
def test_kill9_at_random_moments_leaves_whole_commits(hub_server: HubFactory) -> None:
    hub = hub_server()
    api = hub.api()
    api.create_repo("ann/m")
    chance = random.Random(7)
    killed = threading.Event()

    def kill_and_start() -> None:
        for _ in range(4):
            time.sleep(chance.uniform(0.2, 0.8))
            hub.kill9()
            hub.start()
        killed.set()

    killer = threading.Thread(target=kill_and_start)
    killer.start()
    answered, failed = [], 0
    for number in range(10_000):
        last = killed.is_set()  # which meets a Hub that stays
        mark = f"{number} ".encode()
        operations = [
            CommitOperationAdd("a.txt", mark + b"small"),
            CommitOperationAdd("b.txt", mark * 1000),
            CommitOperationAdd("w.bin", mark + os.urandom(200_000)),
        ]
        try:
            answered.append(api.create_commit("ann/m", operations, commit_message="x").oid)
        except (httpx2.HTTPError, RuntimeError):
            failed += 1
        if last:
            break
    killer.join()
    found = consistent(hub, "ann/m")
    assert answered and set(answered) <= set(found) and len(found) <= len(answered) + failed + 1
    assert not list((hub.data / "incoming").iterdir())


def test_everything_is_there_after_a_restart(hub_server: HubFactory) -> None:
    hub = hub_server()
    api = hub.api()
    api.create_repo("lab/d", repo_type="dataset", private=True)
    sha = api.upload_file(
        path_or_fileobj=b"w" * 5000, path_in_repo="w.bin", repo_id="lab/d", repo_type="dataset"
    ).oid
    api.create_tag("lab/d", tag="v1", repo_type="dataset")
    before, endpoint = hub.tokens, hub.endpoint
    hub.kill9()
    hub.start()
    assert (hub.tokens, hub.endpoint) == (before, endpoint)
    info = hub.api().dataset_info("lab/d", revision="v1", files_metadata=True)
    assert (info.sha, info.private) == (sha, True)
    assert hub.stop() == 0


def test_ready_line_and_people_text(hub_server: HubFactory, tmp_path: Path) -> None:
    hub = hub_server("ann:write", "eve:read:free", orgs=("lab@free:ann,eve:read",))
    assert hub.ready["pid"] == hub.process.pid if hub.process else False
    assert hub.ready["data"] == str(hub.data.resolve())
    assert [(u["name"], u["role"], u["plan"], u["orgs"]) for u in hub.ready["users"]] == [
        ("ann", "write", "pro", {"lab": "admin"}),
        ("eve", "read", "free", {"lab": "read"}),
    ]
    assert hub.api("eve").whoami()["isPro"] is False


def test_two_commits_on_one_parent_have_one_winner(shared_hub: HubServer) -> None:
    api = shared_hub.api()
    api.create_repo("ann/race")
    for round_number in range(5):
        parent = api.model_info("ann/race").sha

        def push(number: int, parent: str | None = parent, mark: int = round_number) -> int:
            body = "\n".join(
                json.dumps(line)
                for line in (
                    {"key": "header", "value": {"summary": "s", "parentCommit": parent}},
                    {"key": "file", "value": {"path": f"{mark}.txt", "content": f"{number}"}},
                )
            )
            with shared_hub.http() as http:
                return http.post("/api/models/ann/race/commit/main", content=body).status_code

        with ThreadPoolExecutor(4) as pool:
            statuses = sorted(pool.map(push, range(4)))
        assert statuses == [200, 412, 412, 412]
    assert len(api.list_repo_commits("ann/race")) == 6


def test_crowd_without_parents_loses_nothing(shared_hub: HubServer) -> None:
    shared_hub.api().create_repo("ann/crowd")

    def push(number: int) -> str:
        return (
            shared_hub.api()
            .upload_file(
                path_or_fileobj=b"%d" % number, path_in_repo=f"{number}.txt", repo_id="ann/crowd"
            )
            .oid
        )

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(push, range(24)))
    assert len(set(made)) == 24
    assert len(shared_hub.api().list_repo_files("ann/crowd")) == 25


@pytest.mark.slow
def test_large_file_streams_both_ways(hub_server: HubFactory, tmp_path: Path) -> None:
    hub = hub_server()
    api = hub.api()
    api.create_repo("ann/big")
    big = tmp_path / "big.bin"
    block = os.urandom(1 << 20)
    with big.open("wb") as file:
        for number in range(150):
            file.write(number.to_bytes(4, "little") + block[4:])
    server = psutil.Process(hub.pid)
    at_rest = server.memory_info().rss
    peak = at_rest
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.02):
            peak = max(peak, server.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        api.upload_file(path_or_fileobj=big, path_in_repo="big.bin", repo_id="ann/big")
        got = Path(api.hf_hub_download("ann/big", "big.bin", local_dir=tmp_path / "got"))
    finally:
        done.set()
        watcher.join()
    with got.open("rb") as mine, big.open("rb") as other:
        assert hashlib.file_digest(mine, "sha256").digest() == (
            hashlib.file_digest(other, "sha256").digest()
        )
    assert peak - at_rest < 75 << 20


def test_interrupted_upload_leaves_nothing(hub_server: HubFactory) -> None:
    hub = hub_server()
    hub.api().create_repo("ann/m")
    data = os.urandom(100_000)
    oid = hashlib.sha256(data).hexdigest()
    batch = {"operation": "upload", "objects": [{"oid": oid, "size": len(data)}]}

    def slowly() -> object:
        yield data[:50_000]
        raise OSError("the laptop went to sleep")

    with hub.http() as http:
        answer = http.post("/ann/m.git/info/lfs/objects/batch", json=batch).json()
        href = answer["objects"][0]["actions"]["upload"]["href"]
        with pytest.raises(OSError, match="sleep"):
            httpx2.put(href, content=slowly(), timeout=PATIENCE)  # type: ignore[arg-type]
        assert http.post("/ann/m.git/info/lfs/objects/batch", json=batch).json() != {}
        until(lambda: not list((hub.data / "incoming").iterdir()))
        assert not (hub.data / "lfs" / oid[:2]).exists()
        assert httpx2.put(href, content=data, timeout=PATIENCE).status_code == 200
    assert (hub.data / "lfs" / oid[:2] / oid[2:]).read_bytes() == data


def test_folder_is_its_owners_alone(shared_hub: HubServer, api: HfApi) -> None:
    assert shared_hub.data.stat().st_mode & 0o077 == 0
    assert api.whoami()["name"] == "ann"


@pytest.fixture
def api(shared_hub: HubServer) -> HfApi:
    return shared_hub.api()
