"""The local Hub under git itself: clone, pull and push, with large files by git-lfs."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import HfApi
from standins.localhub import HubServer

pytestmark = [pytest.mark.program("git"), pytest.mark.program("git-lfs")]

NUMBERS = itertools.count()
Git = Callable[..., str]


@pytest.fixture
def api(shared_hub: HubServer) -> HfApi:
    return shared_hub.api("ann")


@pytest.fixture
def repo(api: HfApi) -> str:
    """A new private model repo of ann's, with a small and a large file."""
    name = api.create_repo(f"ann/git{next(NUMBERS)}", private=True).repo_id
    for path, data in (("README.md", b"# hi\n"), ("d/w.bin", os.urandom(200_000))):
        api.upload_file(path_or_fileobj=data, path_in_repo=path, repo_id=name)
    return name


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """Git with a configuration of its own: returns what it says, both streams."""
    (tmp_path / "gitconfig").write_text("[user]\nname = Ann\nemail = ann@example.com\n")
    environ = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    environ |= {
        "GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }

    def run(*words: str, within: str = ".", fails: bool = False) -> str:
        done = subprocess.run(
            ["git", *words],
            cwd=tmp_path / within,
            env=environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    run("lfs", "install")
    return run


def address(hub: HubServer, repo: str, user: str = "ann") -> str:
    host = hub.endpoint.removeprefix("http://")
    return f"http://{user}:{hub.tokens[user]}@{host}/{repo}"


def test_what_is_cloned_is_what_was_uploaded(
    shared_hub: HubServer, api: HfApi, repo: str, git: Git, tmp_path: Path
) -> None:
    api.create_tag(repo, tag="v1")
    api.create_branch(repo, branch="dev")
    git("clone", address(shared_hub, repo), "whole")
    assert git("rev-parse", "HEAD", within="whole").strip() == api.model_info(repo).sha
    assert git("rev-list", "--count", "HEAD", within="whole").strip() == "3"
    git("fsck", "--strict", within="whole")
    got = Path(api.hf_hub_download(repo, "d/w.bin")).read_bytes()
    assert (tmp_path / "whole" / "d" / "w.bin").read_bytes() == got
    git("checkout", "v1", within="whole")
    git("checkout", "dev", within="whole")
    git("clone", "--depth", "1", address(shared_hub, repo + ".git"), "flat")
    assert git("rev-list", "--count", "HEAD", within="flat").strip() == "1"
    git("clone", "--filter", "blob:none", address(shared_hub, repo), "lazy")
    data = api.create_repo(repo, repo_type="dataset").repo_id
    git("clone", address(shared_hub, f"datasets/{data}"), "data")


def test_what_is_pushed_is_there_for_all_clients(
    shared_hub: HubServer, api: HfApi, repo: str, git: Git, tmp_path: Path
) -> None:
    there = address(shared_hub, repo)
    git("clone", there, "mine")
    git("clone", there, "other")
    large = os.urandom(300_000)
    (tmp_path / "mine" / "new.safetensors").write_bytes(large)
    (tmp_path / "mine" / "sub").mkdir()
    (tmp_path / "mine" / "sub" / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "mine" / "sub" / "run.sh").chmod(0o755)
    git("add", "--all", within="mine")
    git("commit", "--message", "From git\n\nwith a body", within="mine")
    git("push", within="mine")
    newest = api.list_repo_commits(repo)[0]
    assert newest.commit_id == git("rev-parse", "HEAD", within="mine").strip()
    assert (newest.title, newest.message, newest.authors) == ("From git", "with a body", ["ann"])
    assert Path(api.hf_hub_download(repo, "new.safetensors")).read_bytes() == large

    api.upload_file(path_or_fileobj=b"z", path_in_repo="z.txt", repo_id=repo)
    git("pull", within="other")
    assert (tmp_path / "other" / "z.txt").read_text() == "z"
    assert os.access(tmp_path / "other" / "sub" / "run.sh", os.X_OK)
    git("clone", there, "again")
    git("fsck", "--strict", within="again")

    git("checkout", "-b", "feature", within="mine")
    git("commit", "--allow-empty", "--message", "side", within="mine")
    git("tag", "light", within="mine")
    git("push", "origin", "feature", "light", within="mine")
    refs = api.list_repo_refs(repo)
    assert {one.name for one in refs.branches} == {"main", "feature"}
    assert [one.name for one in refs.tags] == ["light"]
    git("push", "origin", ":feature", within="mine")
    assert [one.name for one in api.list_repo_refs(repo).branches] == ["main"]
    git("checkout", "main", within="mine")
    git("pull", "--rebase", within="mine")
    git("merge", "--no-ff", "--message", "both", "light", within="mine")
    git("push", within="mine")
    assert api.model_info(repo).sha == git("rev-parse", "HEAD", within="mine").strip()


def test_whom_it_does_not_let_in(
    shared_hub: HubServer, repo: str, git: Git, tmp_path: Path
) -> None:
    there = address(shared_hub, repo)
    nobody = f"{shared_hub.endpoint}/{repo}"
    assert "could not read Username" in git("clone", nobody, "a", fails=True)
    wrong = there.replace(shared_hub.tokens["ann"], "hf_wrong")
    assert "Authentication failed" in git("clone", wrong, "b", fails=True)
    hidden = git("clone", address(shared_hub, repo, "bob"), "c", fails=True)
    assert "remote: Repository not found" in hidden
    shared_hub.api("ann").update_repo_settings(repo, private=False)
    git("clone", address(shared_hub, repo, "bob"), "d")
    git("commit", "--allow-empty", "--message", "mine now", within="d")
    git("push", within="d", fails=True)
    assert not list(tmp_path.glob("[abc]"))


def test_what_a_push_may_not_do(
    shared_hub: HubServer, api: HfApi, repo: str, git: Git, tmp_path: Path
) -> None:
    git("clone", address(shared_hub, repo), "mine")
    before = api.model_info(repo).sha

    def refused(*refs: str) -> str:
        return git("push", "origin", *refs, within="mine", fails=True)

    assert "the main branch stays" in refused(":main")
    git("tag", "--annotate", "heavy", "--message", "x", within="mine")
    assert "git tag NAME" in refused("heavy")
    for path, text, why in (
        ("README.md", "---\n[a\n---\n", "Invalid metadata in README.md"),
        ("huge.dat", "x" * (10 * 1024 * 1024 + 1), "git lfs track huge.dat"),
        (
            "w.bin",
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 7\n",
            "does not exist",
        ),
    ):
        (tmp_path / "mine" / path).write_text(text)
        git("add", path, within="mine")
        git("commit", "--message", path, within="mine")
        assert why in git("push", "--no-verify", "origin", "HEAD:main", within="mine", fails=True)
        git("reset", "--hard", "HEAD~1", within="mine")
    api.upload_file(path_or_fileobj=b"z", path_in_repo="z.txt", repo_id=repo)
    git("commit", "--allow-empty", "--message", "late", within="mine")
    assert "fetch first" in refused("main")
    assert [one.commit_id for one in api.list_repo_commits(repo)][1] == before
