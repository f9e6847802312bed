"""Buckets of the local Hub under stock clients, mounted in runs, and under those who mean ill."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import HfApi, Volume
from huggingface_hub.errors import BucketBatchError, BucketNotFoundError, HfHubHTTPError
from standins.localhub import HubServer
from standins.waiting import until

from localhub.clock import Clock
from localhub.runtime.mounts import Mount
from localhub.storage.buckets import Buckets
from localhub.storage.content import Content
from localhub.storage.repos import Repos
from localhub.storage.store import Store

NUMBERS = itertools.count()
HELLO = "c37b043933bb2c3d079a3bc02b14f79801c713bb85387a4a4b1a4fdd1fd216d6"
"""How Xet calls the content `hi`, as the stock client told it."""


@pytest.fixture
def bucket(shared_hub: HubServer) -> str:
    """A new private bucket of ann's."""
    return shared_hub.api().create_bucket(f"ann/kept{next(NUMBERS)}", private=True).bucket_id


def paths(api: HfApi, bucket: str, prefix: str | None = None) -> list[str]:
    return [one.path for one in api.list_bucket_tree(bucket, prefix, recursive=True)]


def read(api: HfApi, bucket: str, path: str, into: Path) -> bytes:
    api.download_bucket_files(bucket, [(path, into)], raise_on_missing_files=True)
    return into.read_bytes()


def test_files_come_back_as_they_went(shared_hub: HubServer, bucket: str, tmp_path: Path) -> None:
    api = shared_hub.api()
    large = os.urandom(9_000_000) + b"x" * 3_000_000
    (tmp_path / "large.bin").write_bytes(large)
    small = [(b"hi", "a/hi.txt"), (b"", "a/b/nothing"), (b"hi", "a b/ü.txt")]
    api.batch_bucket_files(bucket, add=[(tmp_path / "large.bin", "a/large.bin"), *small])
    assert read(api, bucket, "a/large.bin", tmp_path / "got") == large
    for data, path in small:
        assert read(api, bucket, path, tmp_path / "small") == data
    assert paths(api, bucket) == ["a b/ü.txt", "a/b/nothing", "a/hi.txt", "a/large.bin"]
    level = {(one.path, one.type) for one in api.list_bucket_tree(bucket)}
    assert level == {("a", "directory"), ("a b", "directory")}
    below = {(one.path, one.type) for one in api.list_bucket_tree(bucket, "a/")}
    assert below == {("a/hi.txt", "file"), ("a/large.bin", "file"), ("a/b", "directory")}
    about = api.bucket_info(bucket)
    assert (about.private, about.size, about.total_files) == (True, len(large) + 4, 4)
    assert [one.id for one in api.list_buckets(search=bucket.partition("/")[2])] == [bucket]
    assert [one.path for one in api.get_bucket_paths_info(bucket, ["a/hi.txt", "b"])] == [
        "a/hi.txt"
    ]
    (owned,) = [one for one in api.list_user_repos() if one.id == bucket]
    assert (owned.type, owned.visibility, owned.storage) == ("bucket", "private", len(large) + 2)
    with pytest.raises(HfHubHTTPError, match="403"):
        list(shared_hub.api("bob").list_user_repos("lab"))
    with shared_hub.http() as http:
        plain = http.get(f"/buckets/{bucket}/resolve/a%2Fhi.txt", follow_redirects=True)
        assert plain.content == b"hi"


def test_folders_are_synchronized_copied_and_removed(
    shared_hub: HubServer, bucket: str, tmp_path: Path
) -> None:
    api = shared_hub.api()
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    (ours / "deep").mkdir(parents=True)
    (ours / "deep" / "one.txt").write_text("one")
    (ours / "two.txt").write_text("two")
    # What synchronizes takes no address of a client, so it is asked for by a process of its own.
    run(shared_hub, f"sync_bucket({str(ours)!r}, 'hf://buckets/{bucket}/s')")
    run(shared_hub, f"sync_bucket('hf://buckets/{bucket}/s', {str(theirs)!r})")
    assert (theirs / "deep" / "one.txt").read_text() == "one"
    other = api.create_bucket(f"ann/other{next(NUMBERS)}").bucket_id
    api.copy_files(f"hf://buckets/{bucket}/s/", f"hf://buckets/{other}/t/")
    moved = other + "-moved"
    api.move_bucket(other, moved)
    assert paths(api, moved) == ["t/deep/one.txt", "t/two.txt"]
    assert read(api, moved, "t/two.txt", tmp_path / "two") == b"two"
    api.batch_bucket_files(moved, delete=["t/two.txt"], add=[(b"new", "t/deep/one.txt")])
    assert read(api, moved, "t/deep/one.txt", tmp_path / "one") == b"new"
    with pytest.raises(BucketBatchError, match="there is no such file"):
        api.batch_bucket_files(moved, delete=["t/two.txt"])
    api.delete_bucket(moved)
    with pytest.raises(BucketNotFoundError):
        api.bucket_info(moved)


def run(hub: HubServer, call: str) -> None:
    """Do something by the client's own functions, as a program does that knows one Hub."""
    code = f"import huggingface_hub as hub; hub.{call}"
    subprocess.run([sys.executable, "-c", code], env=hub.env(), check=True, timeout=120)


def test_what_no_file_names_any_more_is_freed(
    shared_hub: HubServer, bucket: str, tmp_path: Path
) -> None:
    api = shared_hub.api()
    api.batch_bucket_files(bucket, add=[(os.urandom(300_000), "a.bin")])
    there = {path for path in (shared_hub.data / "lfs").rglob("*") if path.is_file()}
    assert any(path.stat().st_size == 300_000 for path in there)
    api.delete_bucket(bucket)
    assert not [path for path in there if path.exists() and path.stat().st_size == 300_000]


def test_strangers_neither_see_nor_change_a_bucket(shared_hub: HubServer, bucket: str) -> None:
    ann, bob = shared_hub.api(), shared_hub.api("bob")
    ann.batch_bucket_files(bucket, add=[(b"hi", "a.txt")])
    public = ann.create_bucket(f"ann/open{next(NUMBERS)}").bucket_id
    for call in (
        lambda: bob.bucket_info(bucket),
        lambda: list(bob.list_bucket_tree(bucket)),
        lambda: bob.delete_bucket(bucket),
    ):
        with pytest.raises(BucketNotFoundError):
            call()
    with pytest.raises(HfHubHTTPError, match="403"):
        bob.create_bucket("ann/of-bob")
    with shared_hub.http("bob") as http, shared_hub.http() as own:
        line = {"type": "addFile", "path": "b.txt", "xetHash": HELLO, "mtime": 1}
        lent = line | {"type": "copyFile", "sourceRepoType": "bucket", "sourceRepoId": bucket}
        assert sent(http, public, line).status_code == 403
        assert http.get(f"/api/buckets/{bucket}/xet-read-token").status_code == 404
        assert http.get(f"/api/buckets/{public}/xet-write-token").status_code == 403
        ticket = http.get(f"/api/buckets/{public}/xet-read-token").json()
        # One for a bucket opens no other, and neither does a name of what another one has.
        private = own.get(f"/api/buckets/{bucket}/xet-read-token").json()
        asked = f"{private['casUrl']}/v1/reconstructions/{HELLO}"
        for token, status in ((ticket, 401), (private, 200)):
            headers = {"Authorization": f"Bearer {token['accessToken']}"}
            assert http.get(asked, headers=headers).status_code == status
        said = sent(own, public, line).json()["failed"][0]["error"]
        assert said.startswith("nobody has uploaded")
        assert sent(own, public, lent).status_code == 200  # ann may read what she lends


def sent(http: httpx2.Client, bucket: str, *lines: Mapping[str, object]) -> httpx2.Response:
    data = "".join(json.dumps(line) + "\n" for line in lines)
    return http.post(f"/api/buckets/{bucket}/batch", content=data)


@pytest.mark.parametrize(
    "path", ["../up", "/root", "a//b", "a/./b", "", "nul\0", "line\nbreak", "x" * 2000, 7, None]
)
def test_no_path_leads_outside_or_makes_no_sense(
    shared_hub: HubServer, bucket: str, path: object
) -> None:
    api = shared_hub.api()
    api.batch_bucket_files(bucket, add=[(b"hi", "good.txt")])
    with shared_hub.http() as http:
        line = {"type": "addFile", "xetHash": HELLO, "mtime": 1}
        said = sent(http, bucket, line | {"path": path}, line | {"path": "other.txt"})
        assert (said.status_code, said.json()["succeeded"]) == (200, 1)
        assert "a path has" in said.json()["failed"][0]["error"]
    assert paths(api, bucket) == ["good.txt", "other.txt"]


def test_lines_that_make_no_sense_change_nothing(shared_hub: HubServer, bucket: str) -> None:
    api = shared_hub.api()
    api.batch_bucket_files(bucket, add=[(b"hi", "a")])
    good = {"type": "addFile", "path": "b", "xetHash": HELLO, "mtime": 1}
    with shared_hub.http() as http:
        for wrong in (
            {"type": "moveFile", "path": "b"},
            {"type": "addFile", "path": "b"},
            good | {"mtime": "now"},
            good | {"mtime": 1e300},
            good | {"path": "a/below"},
            good | {"xetHash": "../../etc"},
            good | {"type": "copyFile", "sourceRepoType": "bucket", "sourceRepoId": "ann/none"},
        ):
            said = sent(http, bucket, wrong)
            assert (said.status_code, len(said.json()["failed"])) == (422, 1), wrong
        for content in (
            "[]",
            "{",
            "[" * 10_000,
            '{"a":' * 3_000,
            '{"type": "' + "x" * 20_000 + '"}',
            "{}\n" * 10_001,
        ):
            said = http.post(f"/api/buckets/{bucket}/batch", content=content)
            assert said.status_code == 400, content[:20]
    assert paths(api, bucket) == ["a"]


def test_what_a_job_writes_to_a_bucket_is_in_it_when_it_has_ended(
    shared_hub: HubServer, bucket: str, tmp_path: Path
) -> None:
    api = shared_hub.api()
    api.batch_bucket_files(bucket, add=[(b"hi", "in/a.txt"), (b"old", "in/b.txt")])
    code = (
        "import pathlib, sys; at = pathlib.Path(sys.argv[1]); (at / 'in/b.txt').unlink();"
        "(at / 'out').mkdir(); (at / 'out/c.txt').write_text((at / 'in/a.txt').read_text() * 2);"
        "(at / 'link').symlink_to('/etc/passwd')"
    )
    volume = Volume(type="bucket", source=bucket, mount_path="/data")
    job = api.run_job(
        image="x", command=["python", "-c", code, "/data"], volumes=[volume], namespace="ann"
    )
    ended = api.wait_for_job(job.id, namespace="ann", poll_interval=0.2)
    assert ended.status.stage == "COMPLETED", ended
    assert paths(api, bucket) == ["in/a.txt", "out/c.txt"]
    assert read(api, bucket, "out/c.txt", tmp_path / "c") == b"hihi"
    token = shared_hub.admin("POST", "tokens", {"user": "bob", "role": "write"})["token"]
    bob = HfApi(endpoint=shared_hub.endpoint, token=token)
    with pytest.raises(HfHubHTTPError, match="404"):
        bob.run_job(image="x", command=["true"], volumes=[volume], namespace="bob")


def test_a_token_mounts_in_a_new_space_no_more_than_it_opens(shared_hub: HubServer) -> None:
    kept = shared_hub.api().create_bucket(f"lab/kept{next(NUMBERS)}", private=True).bucket_id
    scope = {"entity": {"type": "user", "name": "ann"}, "permissions": ["repo.write"]}
    asked = {"user": "ann", "role": "fineGrained", "scoped": [scope]}
    made = shared_hub.admin("POST", "tokens", asked)
    narrow = HfApi(endpoint=shared_hub.endpoint, token=made["token"])
    name = f"ann/mounts{next(NUMBERS)}"
    volumes = [Volume(type="bucket", source=kept, mount_path="/data")]
    with pytest.raises(HfHubHTTPError, match="404"):
        narrow.create_repo(name, repo_type="space", space_sdk="static", space_volumes=volumes)
    shared_hub.api().create_repo(
        name, repo_type="space", space_sdk="static", space_volumes=volumes
    )  # which a token of hers that opens all may do


def test_no_link_in_a_folder_leads_a_bucket_out_of_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "hub")
    content = Content(store)
    buckets, repos = Buckets(store, content.large), Repos(store, content, Clock().now)
    repo = repos.create("bucket", "ann/b", private=True, creator="ann", url="").id
    (outside := tmp_path / "outside").mkdir()
    (mine := outside / "a.txt").write_text("mine")
    (tmp_path / "run").mkdir()
    folder = tmp_path / "run" / "data"
    mount = Mount(buckets, repo, folder, tmp_path / "run" / "data.json", read_only=False)

    def put(path: str, text: str) -> None:
        (tmp_path / "sent").write_text(text)
        buckets.put(repo, path, buckets.take(repo, tmp_path / "sent"), 1.0)

    for path in ("old/a.txt", "b.txt"):
        put(path, "first")
    mount.sync()
    assert (folder / "old" / "a.txt").read_text() == "first"
    (folder / "old" / "a.txt").unlink()
    (folder / "old").rmdir()
    for link in ("old", "new"):
        (folder / link).symlink_to(outside)
    (folder / ".b.txt.arriving").symlink_to(mine)
    buckets.remove(repo, "old/a.txt")
    for path in ("new/a.txt", "new/deep/a.txt", "b.txt"):
        put(path, "second")
    mount.sync()
    assert [path.name for path in outside.rglob("*")] == ["a.txt"]
    assert mine.read_text() == "mine"
    assert (folder / "b.txt").read_text() == "second"
    assert {one.path for one in buckets.files(repo)} == {"b.txt", "new/a.txt", "new/deep/a.txt"}
    elsewhere = folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(outside)
    mount.sync()
    assert [path.name for path in outside.rglob("*")] == ["a.txt"]
    assert elsewhere.is_dir() and buckets.file(repo, "a.txt") is None


@pytest.mark.slow
def test_kill9_amid_changes_loses_nothing_that_was_answered(
    hub_server: Callable[..., HubServer], tmp_path: Path
) -> None:
    hub = hub_server()
    api = hub.api()
    api.create_bucket("ann/b")
    api.batch_bucket_files("ann/b", add=[(b"hi", "first.txt")])
    answered, killed = [], threading.Event()

    def change() -> None:
        with hub.http() as http:
            for number in itertools.count():
                lines = [
                    {"type": "addFile", "path": f"{number}/{part}", "xetHash": HELLO, "mtime": 1}
                    for part in range(20)
                ]
                try:
                    if sent(http, "ann/b", *lines).status_code == 200:
                        answered.append(number)
                except httpx2.HTTPError:
                    killed.set()
                    return

    changing = threading.Thread(target=change)
    changing.start()
    until(lambda: len(answered) > 5, every=0.001)
    hub.kill9()
    changing.join()
    assert killed.is_set()
    hub.start()
    found = paths(api, "ann/b")
    assert {f"{number}/{part}" for number in answered for part in range(20)} <= set(found)
    assert (len(found) - 1) % 20 == 0  # of each batch all files, or none
    assert read(api, "ann/b", f"{answered[-1]}/3", tmp_path / "got") == b"hi"
