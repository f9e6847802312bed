"""Accounts, repos, commits and large files of the local Hub, through the stock client."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from standins.localhub import HubServer
from standins.waiting import PATIENCE

NUMBERS = itertools.count()


@pytest.fixture
def api(shared_hub: HubServer) -> HfApi:
    return shared_hub.api("ann")


@pytest.fixture
def repo(api: HfApi) -> str:
    """A new private model repo of ann's."""
    return api.create_repo(f"ann/m{next(NUMBERS)}", private=True).repo_id


# people


def test_whoami_tells_roles_orgs_and_plan(shared_hub: HubServer) -> None:
    ann = shared_hub.api("ann").whoami()
    assert (ann["name"], ann["type"], ann["isPro"]) == ("ann", "user", True)
    assert ann["auth"]["accessToken"]["role"] == "write"
    assert [(org["name"], org["roleInOrg"]) for org in ann["orgs"]] == [("lab", "admin")]
    bob = shared_hub.api("bob").whoami()
    assert bob["auth"]["accessToken"]["role"] == "read" and bob["orgs"] == []


def test_wrong_token_is_told_from_hidden_repo(shared_hub: HubServer, repo: str) -> None:
    wrong = HfApi(endpoint=shared_hub.endpoint, token="hf_wrong")
    with pytest.raises(HfHubHTTPError, match="Invalid user token") as info:
        wrong.whoami()
    assert info.value.response.status_code == 401
    with pytest.raises(HfHubHTTPError) as refused:
        wrong.model_info(repo)
    assert not isinstance(refused.value, RepositoryNotFoundError)
    for user, status in (("bob", 404), (None, 401)):
        with pytest.raises(RepositoryNotFoundError) as hidden:
            shared_hub.api(user).model_info(repo)
        assert hidden.value.response.status_code == status


def test_read_token_creates_and_writes_nothing(shared_hub: HubServer, api: HfApi) -> None:
    bob = shared_hub.api("bob")
    for name in ("bob/x", "ann/x", "lab/x"):
        with pytest.raises(HfHubHTTPError) as info:
            bob.create_repo(name)
        assert info.value.response.status_code == 403
    public = api.create_repo(f"ann/open{next(NUMBERS)}").repo_id
    assert bob.model_info(public).id == public
    bob.auth_check(public)
    with pytest.raises(HfHubHTTPError) as info:
        bob.auth_check(public, write=True)
    assert info.value.response.status_code == 403
    with pytest.raises(HfHubHTTPError, match="write token"):
        bob.upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id=public)


def test_orgs_roles_and_fine_grained_tokens_decide(shared_hub: HubServer, api: HfApi) -> None:
    name = api.create_repo(f"lab/m{next(NUMBERS)}", private=True).repo_id
    shared_hub.admin("POST", "users", {"name": "eve"})
    scoped = [{"entity": {"type": "model", "name": name}, "permissions": ["repo.write"]}]
    made = shared_hub.admin(
        "POST", "tokens", {"user": "eve", "role": "fineGrained", "scoped": scoped}
    )
    eve = HfApi(endpoint=shared_hub.endpoint, token=made["token"])
    with pytest.raises(RepositoryNotFoundError):
        eve.model_info(name)
    shared_hub.admin("POST", "roles", {"org": "lab", "user": "eve", "role": "write"})
    eve.upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id=name)
    assert eve.whoami()["auth"]["accessToken"]["fineGrained"]["scoped"] == scoped
    with pytest.raises(HfHubHTTPError):
        eve.create_repo("eve/other")
    shared_hub.admin("POST", "roles", {"org": "lab", "user": "eve", "role": "read"})
    with pytest.raises(HfHubHTTPError):
        eve.upload_file(path_or_fileobj=b"y", path_in_repo="x", repo_id=name)


def test_tokens_stay_and_can_be_revoked(hub_server: Callable[..., HubServer]) -> None:
    hub = hub_server()
    before = hub.tokens
    assert all(token.startswith("hf_") for token in before.values())
    assert hub.restart().tokens == before
    hub.admin("PUT", "tokens", {"token": before["ann"], "revoked": True})
    with pytest.raises(HfHubHTTPError):
        HfApi(endpoint=hub.endpoint, token=before["ann"]).whoami()


# repos


@pytest.mark.parametrize("repo_type", ["model", "dataset", "space"])
def test_repo_of_each_type_from_create_to_delete(api: HfApi, repo_type: str) -> None:
    more: dict[str, Any] = {"space_sdk": "static"} if repo_type == "space" else {}
    name = f"ann/life{next(NUMBERS)}"
    url = api.create_repo(name, repo_type=repo_type, private=True, **more)
    assert (url.repo_id, url.repo_type) == (name, repo_type)
    with pytest.raises(HfHubHTTPError) as info:
        api.create_repo(name, repo_type=repo_type, **more)
    assert info.value.response.status_code == 409
    api.create_repo(name, repo_type=repo_type, exist_ok=True, **more)
    assert api.repo_info(name, repo_type=repo_type).private is True
    assert api.list_repo_files(name, repo_type=repo_type) == [".gitattributes"]
    api.update_repo_settings(name, repo_type=repo_type, private=False)
    assert api.repo_info(name, repo_type=repo_type).private is False
    api.delete_repo(name, repo_type=repo_type)
    assert not api.repo_exists(name, repo_type=repo_type)
    api.delete_repo(name, repo_type=repo_type, missing_ok=True)


def test_older_clients_words_for_privacy_and_owner(shared_hub: HubServer) -> None:
    name = f"old{next(NUMBERS)}"
    with shared_hub.http("ann") as http:
        body = {"name": name, "organization": "lab", "private": True, "type": "dataset"}
        assert http.post("/api/repos/create", json=body).status_code == 200
        assert http.get(f"/api/datasets/lab/{name}").json()["private"] is True
        answer = http.post("/api/repos/create", json={**body, "name": "no--good"})
        assert answer.status_code == 400 and "Invalid repo name" in answer.json()["error"]


def test_moved_repo_answers_to_its_old_name(api: HfApi, repo: str) -> None:
    api.upload_file(path_or_fileobj=b"{}", path_in_repo="config.json", repo_id=repo)
    target = f"lab/moved{next(NUMBERS)}"
    api.move_repo(repo, target)
    assert api.model_info(repo).id == target
    assert Path(api.hf_hub_download(repo, "config.json")).read_bytes() == b"{}"
    api.upload_file(path_or_fileobj=b"w" * 99, path_in_repo="w.bin", repo_id=repo)
    assert "w.bin" in api.list_repo_files(target)
    api.create_repo(repo)
    assert api.model_info(repo).id == repo


def test_info_is_read_off_the_files(api: HfApi, repo: str) -> None:
    from safetensors.torch import save
    from torch import bfloat16, zeros

    weights = save({"a": zeros(3, 4), "b": zeros(5, dtype=bfloat16)})
    card = b"---\nlicense: mit\nbase_model: gpt2\ntags: [hubtrain]\ndatasets: ann/d\n---\n# Hi\n"
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    files = {
        "README.md": card,
        "config.json": json.dumps(config).encode(),
        "model.safetensors": weights,
    }
    api.create_commit(
        repo, [CommitOperationAdd(name, data) for name, data in files.items()], commit_message="all"
    )
    info = api.model_info(repo, files_metadata=True)
    assert info.safetensors is not None and info.safetensors.total == 17
    assert info.safetensors.parameters == {"F32": 12, "BF16": 5}
    assert info.card_data is not None and info.card_data.license == "mit"
    assert info.config == config
    assert (info.library_name, info.pipeline_tag) == ("transformers", "text-generation")
    assert info.tags is not None
    assert {"hubtrain", "license:mit", "base_model:gpt2", "dataset:ann/d"} <= set(info.tags)
    assert info.siblings is not None
    large = next(one for one in info.siblings if one.rfilename == "model.safetensors")
    assert large.lfs is not None and large.lfs.sha256 == hashlib.sha256(weights).hexdigest()
    assert large.size == len(weights)
    assert api.get_safetensors_metadata(repo).parameter_count == {"F32": 12, "BF16": 5}
    only = api.model_info(repo, expand=["safetensors", "gated"])
    assert only.safetensors is not None and only.sha is None and only.gated is False
    listed = list(api.list_models(author="ann", search=repo.split("/")[1], filter="license:mit"))
    assert [one.id for one in listed] == [repo]


def test_lists_come_in_pages_and_hide_what_is_private(hub_server: Callable[..., HubServer]) -> None:
    hub = hub_server(options=("--page", "2"))
    api = hub.api("ann")
    for number in range(5):
        api.create_repo(f"ann/d{number}", repo_type="dataset", private=number == 0)
    assert len(list(api.list_datasets(author="ann"))) == 5
    assert len(list(hub.api("bob").list_datasets(author="ann"))) == 4
    assert len(list(api.list_datasets(author="ann", limit=3))) == 3
    api.create_commit(
        "ann/d1",
        [CommitOperationAdd(f"folder/{n}.txt", b"x") for n in range(5)],
        repo_type="dataset",
        commit_message="five",
    )
    hub.forget_requests()
    files = api.list_repo_files("ann/d1", repo_type="dataset")
    assert len(files) == 6
    assert len(hub.requests("/tree/")) == 4  # seven entries, two a page


def test_gate_opens_when_terms_are_accepted(shared_hub: HubServer, api: HfApi) -> None:
    name = api.create_repo(f"ann/gated{next(NUMBERS)}").repo_id
    api.upload_file(path_or_fileobj=b"{}", path_in_repo="config.json", repo_id=name)
    api.update_repo_settings(name, gated="auto")
    bob = shared_hub.api("bob")
    assert bob.model_info(name).gated == "auto"
    for user, status in (("bob", 403), (None, 401)):
        with pytest.raises(GatedRepoError) as info:
            shared_hub.api(user).auth_check(name)
        assert info.value.response.status_code == status
    with pytest.raises(GatedRepoError):
        bob.get_hf_file_metadata(url=f"{shared_hub.endpoint}/{name}/resolve/main/config.json")
    with shared_hub.http("bob") as http:
        assert http.post(f"/{name}/ask-access").status_code == 200
    bob.auth_check(name)
    assert Path(bob.hf_hub_download(name, "config.json")).read_bytes() == b"{}"


# commits


def git_tree(git: Callable[..., str], files: dict[str, bytes]) -> str:
    """Have git make a tree of files and return its id."""
    lines = []
    for name in sorted({path.split("/")[0] for path in files}):
        if name in files:
            oid = git("hash-object", "-w", "--stdin", data=files[name])
            lines.append(f"100644 blob {oid}\t{name}\n")
        else:
            head = name + "/"
            below = {p.removeprefix(head): d for p, d in files.items() if p.startswith(head)}
            lines.append(f"040000 tree {git_tree(git, below)}\t{name}\n")
    return git("mktree", data="".join(lines).encode())


@pytest.mark.program("git")
def test_commit_id_is_the_one_git_computes(api: HfApi, repo: str, tmp_path: Path) -> None:
    operations = [
        CommitOperationAdd("a/b/c.txt", b"c"),
        CommitOperationAdd("a-b/d.txt", b"d"),
        CommitOperationAdd("w.bin", b"large" * 99),
    ]
    made = api.create_commit(
        repo, operations, commit_message="Title\u00e9", commit_description="More\n\nlines"
    )
    git_env = {**os.environ, "GIT_DIR": str(tmp_path / "git")}

    def git(*command: str, data: bytes = b"", **env: str) -> str:
        done = subprocess.run(
            ["git", *command],
            input=data,
            env=git_env | env,
            capture_output=True,
            check=True,
            timeout=60,
        )
        return done.stdout.decode().strip()

    git("init", "-q", "--bare", str(tmp_path / "git"))

    with httpx2.Client(headers={"Authorization": f"Bearer {api.token}"}, timeout=PATIENCE) as http:
        files = {
            path: http.get(f"{api.endpoint}/{repo}/raw/{made.oid}/{path}").content
            for path in api.list_repo_files(repo)
        }
    assert files["w.bin"].startswith(b"version https://git-lfs")
    parent = ""
    for commit in reversed(api.list_repo_commits(repo)):
        stamp = f"{int(commit.created_at.timestamp())} +0000"
        who = {
            f"GIT_{role}_{field}": value
            for role in ("AUTHOR", "COMMITTER")
            for field, value in (
                ("NAME", "ann"),
                ("EMAIL", "ann@users.noreply.localhub"),
                ("DATE", stamp),
            )
        }
        held = (
            files if commit.commit_id == made.oid else {".gitattributes": files[".gitattributes"]}
        )
        message = commit.title + (f"\n\n{commit.message}" if commit.message else "")
        above = ("-p", parent) if parent else ()
        parent = git("commit-tree", git_tree(git, held), *above, data=message.encode(), **who)
        assert parent == commit.commit_id
    assert parent == made.oid


def test_commit_adds_copies_deletes_at_once(api: HfApi, repo: str) -> None:
    first = [CommitOperationAdd(p, p.encode()) for p in ("a.txt", "d/b.txt", "d/c.bin", "e/f.txt")]
    api.create_commit(repo, first, commit_message="first")
    api.create_commit(
        repo,
        [
            CommitOperationCopy("d/c.bin", "copy.bin"),
            CommitOperationCopy("a.txt", "copy.txt"),
            CommitOperationDelete("a.txt"),
            CommitOperationDelete("d/"),
            CommitOperationAdd("e", b"a file where a folder was"),
        ],
        commit_message="second",
    )
    assert api.list_repo_files(repo) == [".gitattributes", "copy.bin", "copy.txt", "e"]
    assert Path(api.hf_hub_download(repo, "copy.bin")).read_bytes() == b"d/c.bin"
    assert Path(api.hf_hub_download(repo, "copy.txt")).read_bytes() == b"a.txt"
    with pytest.raises(HfHubHTTPError, match="does not exist"):
        api.create_commit(repo, [CommitOperationDelete("nope")], commit_message="no")


def test_stale_parent_is_refused_and_branches_stand_apart(api: HfApi, repo: str) -> None:
    start = api.model_info(repo).sha
    api.create_branch(repo, branch="hubtrain/k4x")
    made = api.upload_file(
        path_or_fileobj=b"1", path_in_repo="x", repo_id=repo, parent_commit=start
    )
    with pytest.raises(HfHubHTTPError) as info:
        api.upload_file(path_or_fileobj=b"2", path_in_repo="x", repo_id=repo, parent_commit=start)
    assert info.value.response.status_code == 412
    side = api.upload_file(
        path_or_fileobj=b"3", path_in_repo="y", repo_id=repo, revision="hubtrain/k4x"
    )
    assert isinstance(side.oid, str) and isinstance(made.oid, str)
    assert api.model_info(repo).sha == made.oid
    assert api.model_info(repo, revision="hubtrain/k4x").sha == side.oid
    assert api.model_info(repo, revision=side.oid[:10]).sha == side.oid
    api.create_tag(repo, tag="v1", revision=side.oid)
    with pytest.raises(HfHubHTTPError, match="exists"):
        api.create_tag(repo, tag="v1")
    api.create_tag(repo, tag="v1", exist_ok=True)
    refs = api.list_repo_refs(repo)
    assert {ref.name: ref.target_commit for ref in refs.branches + refs.tags} == {
        "main": made.oid,
        "hubtrain/k4x": side.oid,
        "v1": side.oid,
    }
    assert api.list_repo_files(repo, revision="v1") == [".gitattributes", "y"]
    api.delete_branch(repo, branch="hubtrain/k4x")
    api.delete_tag(repo, tag="v1")
    with pytest.raises(RevisionNotFoundError):
        api.model_info(repo, revision="v1")
    with pytest.raises(HfHubHTTPError):
        api.delete_branch(repo, branch="main")


def test_pull_request_is_a_ref_of_its_own(api: HfApi, repo: str) -> None:
    made = api.upload_file(path_or_fileobj=b"1", path_in_repo="x", repo_id=repo, create_pr=True)
    assert made.pr_revision == "refs/pr/1"
    assert api.list_repo_files(repo) == [".gitattributes"]
    assert "x" in api.list_repo_files(repo, revision="refs/pr/1")
    assert Path(api.hf_hub_download(repo, "x", revision="refs/pr/1")).read_bytes() == b"1"
    more = api.upload_file(
        path_or_fileobj=b"2", path_in_repo="x", repo_id=repo, revision="refs/pr/1"
    )
    assert api.model_info(repo, revision="refs/pr/1").sha == more.oid


def test_squash_leaves_one_commit_with_the_same_files(api: HfApi, repo: str) -> None:
    for number in range(3):
        api.upload_file(path_or_fileobj=b"%d" % number, path_in_repo="x", repo_id=repo)
    assert len(api.list_repo_commits(repo)) == 4
    api.super_squash_history(repo)
    assert len(api.list_repo_commits(repo)) == 1
    assert api.list_repo_files(repo) == [".gitattributes", "x"]


def test_paths_info_and_last_commits(shared_hub: HubServer, api: HfApi, repo: str) -> None:
    one = api.upload_file(path_or_fileobj=b"1", path_in_repo="d/x", repo_id=repo)
    two = api.upload_file(path_or_fileobj=b"2", path_in_repo="y", repo_id=repo)
    found = api.get_paths_info(repo, ["d/x", "y", "d", "no"], expand=True)
    changed = {item.path: item.last_commit.oid for item in found if item.last_commit}
    assert changed == {"d/x": one.oid, "y": two.oid, "d": one.oid}
    with shared_hub.http("ann") as http:
        body = {"paths": ["y"], "expand": True}
        answer = http.post(f"/api/models/{repo}/paths-info/main", json=body)
    assert [item["path"] for item in answer.json()] == ["y"]


def test_bad_card_and_bad_paths_are_refused(shared_hub: HubServer, repo: str, api: HfApi) -> None:
    with pytest.raises(ValueError, match="Invalid metadata"):
        api.upload_file(path_or_fileobj=b"---\na: [\n---\n", path_in_repo="README.md", repo_id=repo)
    header = {"key": "header", "value": {"summary": "s"}}
    for path in ("../x", "/x", "a//b", ".git/config"):
        line = {"key": "file", "value": {"path": path, "content": "eA==", "encoding": "base64"}}
        body = "\n".join(json.dumps(one) for one in (header, line))
        with shared_hub.http("ann") as http:
            answer = http.post(f"/api/models/{repo}/commit/main", content=body)
        assert answer.status_code == 400, path


# large files


@pytest.mark.parametrize("options", [(), ("--multipart-above", "1000", "--part-size", "700")])
def test_large_file_is_sent_once(
    hub_server: Callable[..., HubServer], options: tuple[str, ...]
) -> None:
    hub = hub_server(options=options)
    api = hub.api("ann")
    api.create_repo("ann/m")
    data = os.urandom(5000)
    api.upload_file(path_or_fileobj=data, path_in_repo="a.bin", repo_id="ann/m")
    sent = hub.requests("/_storage/", "PUT")
    assert sum(one["received_bytes"] for one in sent) == 5000
    assert len(sent) == (8 if options else 1)
    assert all(one["user"] is None for one in sent)
    hub.forget_requests()
    api.upload_file(path_or_fileobj=data, path_in_repo="again.bin", repo_id="ann/m")
    assert hub.requests("/_storage/") == []
    hub.forget_requests()
    api.upload_file(path_or_fileobj=data, path_in_repo="again.bin", repo_id="ann/m")
    assert hub.requests("/commit/") == []  # the client sees that nothing would change
    assert Path(api.hf_hub_download("ann/m", "again.bin")).read_bytes() == data


def test_content_that_is_not_what_it_says_is_refused(
    shared_hub: HubServer, api: HfApi, repo: str
) -> None:
    oid = hashlib.sha256(b"right").hexdigest()
    batch = {"operation": "upload", "transfers": ["basic"], "objects": [{"oid": oid, "size": 5}]}
    with shared_hub.http("ann") as http:
        answer = http.post(f"/{repo}.git/info/lfs/objects/batch", json=batch)
        href = answer.json()["objects"][0]["actions"]["upload"]["href"]
        assert httpx2.put(href, content=b"wrong", timeout=PATIENCE).status_code == 400
        assert httpx2.put(href, content=b"right and more", timeout=PATIENCE).status_code == 400
        assert (
            httpx2.put(
                href.replace("size=5", "size=6"), content=b"right!", timeout=PATIENCE
            ).status_code
            == 403
        )
        lfs_file = {"path": "w.bin", "algo": "sha256", "oid": oid, "size": 5}
        lines = [
            {"key": "header", "value": {"summary": "s"}},
            {"key": "lfsFile", "value": lfs_file},
        ]
        body = "\n".join(json.dumps(line) for line in lines)
        url = f"/api/models/{repo}/commit/main"
        assert http.post(url, content=body).status_code == 400
        assert httpx2.put(href, content=b"right", timeout=PATIENCE).status_code == 200
        assert http.post(url, content=body).status_code == 200


def test_known_hash_of_a_foreign_file_opens_nothing(
    shared_hub: HubServer, api: HfApi, repo: str
) -> None:
    secret = os.urandom(3000)
    api.upload_file(path_or_fileobj=secret, path_in_repo="s.bin", repo_id=repo)
    shared_hub.admin("POST", "users", {"name": "mallory"})
    token = shared_hub.admin("POST", "tokens", {"user": "mallory", "role": "write"})["token"]
    mallory = HfApi(endpoint=shared_hub.endpoint, token=token)
    mine = mallory.create_repo(f"mallory/m{next(NUMBERS)}").repo_id
    oid = hashlib.sha256(secret).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 3000\n"
    header = {"key": "header", "value": {"summary": "s"}}
    by_name = {"path": "s.bin", "algo": "sha256", "oid": oid, "size": 3000}
    for line in (
        {"key": "lfsFile", "value": by_name},
        {"key": "lfsFile", "value": {"path": "s.bin", "algo": "sha256", "oid": oid}},
        {"key": "file", "value": {"path": "s.txt", "content": pointer}},
    ):
        answer = httpx2.post(
            f"{shared_hub.endpoint}/api/models/{mine}/commit/main",
            timeout=PATIENCE,
            content=f"{json.dumps(header)}\n{json.dumps(line)}",
            headers={"Authorization": f"Bearer {token}"},
        )
        assert answer.status_code == 400, line
    assert mallory.list_repo_files(mine) == [".gitattributes"]


@pytest.mark.program("curl")
def test_resolve_speaks_headers_and_ranges(
    shared_hub: HubServer, api: HfApi, repo: str, tmp_path: Path
) -> None:
    large = bytes(range(256)) * 20
    sha = api.create_commit(
        repo,
        [CommitOperationAdd("w.bin", large), CommitOperationAdd("s.txt", b"0123456789")],
        commit_message="two",
    ).oid
    auth = f"Authorization: Bearer {shared_hub.tokens['ann']}"

    def curl(path: str, *more: str) -> tuple[int, bytes]:
        out = tmp_path / "out"
        out.unlink(missing_ok=True)
        command = ["curl", "-s", "-o", str(out), "-w", "%{http_code}", "-H", auth, *more]
        done = subprocess.run(
            [*command, f"{shared_hub.endpoint}/{repo}/resolve/main/{path}"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return int(done.stdout), out.read_bytes() if out.exists() else b""

    assert curl("s.txt") == (200, b"0123456789")
    assert curl("s.txt", "-r", "2-4") == (206, b"234")
    assert curl("s.txt", "-r", "99-")[0] == 416
    assert curl("w.bin", "-L", "-r", "-6") == (206, large[-6:])
    assert curl("w.bin", "-L", "-r", "9999-")[0] == 416
    with shared_hub.http("ann") as http:
        head = http.head(f"/{repo}/resolve/main/w.bin")
        assert head.status_code == 302
        assert head.headers["x-repo-commit"] == sha
        assert head.headers["x-linked-size"] == str(len(large))
        assert head.headers["x-linked-etag"] == f'"{hashlib.sha256(large).hexdigest()}"'
        location = head.headers["location"]
        missing = http.head(f"/{repo}/resolve/main/no.txt")
        assert missing.headers["x-error-code"] == "EntryNotFound"
        assert missing.headers["x-repo-commit"] == sha
        answer = http.get("/api/whoami-v2")
        assert '"api";r=' in answer.headers["ratelimit"] and "date" in answer.headers
    assert shared_hub.tokens["ann"] not in location
    assert httpx2.get(location, timeout=PATIENCE).content == large
    with pytest.raises(EntryNotFoundError):
        api.hf_hub_download(repo, "no.txt")


def test_people_log_in_and_see_their_repos(shared_hub: HubServer, repo: str) -> None:
    with httpx2.Client(
        base_url=shared_hub.endpoint, follow_redirects=True, timeout=PATIENCE
    ) as browser:
        assert browser.get(f"/{repo}").status_code == 404
        wrong = browser.post("/login", data={"token": "hf_no"})
        assert wrong.status_code == 401
        token = shared_hub.tokens["ann"]
        seen = browser.post(f"/login?next=/{repo}", data={"token": token})
        assert seen.status_code == 200 and ".gitattributes" in seen.text
        assert token not in seen.text and browser.cookies["token"] != token
        browser.get("/logout")
        assert browser.get(f"/{repo}").status_code == 404


def test_removed_large_files_free_the_disk(hub_server: Callable[..., HubServer]) -> None:
    hub = hub_server()
    api = hub.api()
    api.create_repo("ann/m")

    def on_disk() -> int:
        return sum(path.stat().st_size for path in (hub.data / "lfs").rglob("*") if path.is_file())

    for number in range(3):
        data = os.urandom(1000 + number)
        api.upload_file(path_or_fileobj=data, path_in_repo="ck.bin", repo_id="ann/m")
    twin = api.duplicate_repo("ann/m", "ann/twin")
    assert twin.repo_id == "ann/twin"
    assert (api.model_info("ann/m").used_storage, on_disk()) == (3003, 3003)
    files = list(api.list_lfs_files("ann/m"))
    assert sorted(one.size for one in files) == [1000, 1001, 1002]
    assert [one.filename for one in files if one.size == 1002] == ["ck.bin"]
    api.permanently_delete_lfs_files("ann/m", [one for one in files if one.size != 1002])
    assert (api.model_info("ann/m").used_storage, on_disk()) == (1002, 1002)
    assert Path(api.hf_hub_download("ann/m", "ck.bin")).read_bytes() == data
    last = [one for one in files if one.size == 1002]
    api.permanently_delete_lfs_files("ann/m", last, rewrite_history=False)
    with pytest.raises(EntryNotFoundError):
        api.hf_hub_download("ann/m", "ck.bin", force_download=True)
    api.delete_repo("ann/m")
    assert on_disk() == 1002
    assert Path(api.hf_hub_download("ann/twin", "ck.bin")).read_bytes() == data
    api.delete_repo("ann/twin")
    assert on_disk() == 0


@pytest.mark.parametrize("name", ["gpt2", "nobody/nothing"])
def test_absent_repo_is_absent_in_every_way(shared_hub: HubServer, name: str) -> None:
    for user in ("ann", None):
        api = shared_hub.api(user)
        assert not api.repo_exists(name) and not api.file_exists(name, "config.json")
        for ask in (api.model_info, api.list_repo_files, api.auth_check):
            with pytest.raises(RepositoryNotFoundError):
                ask(name)
        with pytest.raises(RepositoryNotFoundError):
            api.hf_hub_download(name, "config.json")


def test_unknown_repo_type_is_a_bad_request(shared_hub: HubServer) -> None:
    with shared_hub.http() as http:
        answer = http.post("/api/repos/create", json={"name": "x", "type": "thing"})
    assert (answer.status_code, answer.json()["error"]) == (400, "Invalid repo type: thing")
    assert answer.headers["x-error-message"] == "Invalid repo type: thing"
