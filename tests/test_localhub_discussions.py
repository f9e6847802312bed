"""Discussions and pull requests of the local Hub, by the stock client."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import BadRequestError, HfHubHTTPError
from standins.localhub import HubServer

NUMBERS = itertools.count()


@pytest.fixture
def repo(shared_hub: HubServer) -> str:
    """A new public model repo of ann's with a file."""
    api = shared_hub.api()
    made = api.create_repo(f"ann/talked{next(NUMBERS)}").repo_id
    api.upload_file(path_or_fileobj=b"one\ntwo\n", path_in_repo="a.txt", repo_id=made)
    return made


@pytest.fixture(scope="module")
def stranger(shared_hub: HubServer) -> HfApi:
    """A client of somebody who writes to no repo of ann's."""
    token = shared_hub.admin("POST", "tokens", {"user": "bob", "role": "write"})["token"]
    return HfApi(endpoint=shared_hub.endpoint, token=token)


def test_a_stranger_proposes_and_the_owner_merges(
    shared_hub: HubServer, repo: str, stranger: HfApi, tmp_path: Path
) -> None:
    ann = shared_hub.api()
    proposed = stranger.create_commit(
        repo,
        [CommitOperationAdd("a.txt", b"one\n2\n"), CommitOperationAdd("b.txt", b"new")],
        commit_message="Say it in figures",
        commit_description="They are shorter.",
        create_pr=True,
    )
    assert proposed.pr_num == 1 and proposed.pr_revision == "refs/pr/1"
    weights = os.urandom(70_000)
    stranger.upload_file(
        path_or_fileobj=weights, path_in_repo="w.bin", repo_id=repo, revision="refs/pr/1"
    )
    about = ann.get_discussion_details(repo, 1)
    assert (about.title, about.author, about.status) == ("Say it in figures", "bob", "open")
    assert about.conflicting_files == []
    told = {event.type: event for event in about.events}
    assert told["comment"].content == "They are shorter."  # type: ignore[attr-defined]
    assert "-two\n+2\n" in (about.diff or "") and "Binary files" in (about.diff or "")
    assert ann.list_repo_files(repo) == [".gitattributes", "a.txt"]

    ann.upload_file(path_or_fileobj=b"other", path_in_repo="c.txt", repo_id=repo)
    with pytest.raises(HfHubHTTPError, match="403"):
        stranger.merge_pull_request(repo, 1)
    ann.merge_pull_request(repo, 1, comment="Thank you")
    assert ann.list_repo_files(repo) == [".gitattributes", "a.txt", "b.txt", "c.txt", "w.bin"]
    got = ann.hf_hub_download(repo, "w.bin", local_dir=tmp_path)
    assert Path(got).read_bytes() == weights
    merged = ann.get_discussion_details(repo, 1)
    assert merged.status == "merged"
    assert merged.merge_commit_oid == ann.model_info(repo).sha
    assert ann.list_repo_commits(repo)[0].title == "Say it in figures (#1)"
    with pytest.raises(HfHubHTTPError, match="no open pull request"):
        ann.merge_pull_request(repo, 1)
    with pytest.raises(HfHubHTTPError, match="403"):  # nothing more comes to what is merged
        stranger.upload_file(
            path_or_fileobj=b"more", path_in_repo="d.txt", repo_id=repo, revision="refs/pr/1"
        )


def test_what_both_have_changed_is_not_merged(shared_hub: HubServer, repo: str) -> None:
    ann = shared_hub.api()
    draft = ann.create_pull_request(repo, "Not yet")
    assert (draft.status, draft.git_reference) == ("draft", "refs/pr/1")
    change = [CommitOperationAdd("a.txt", b"mine")]
    ann.create_commit(repo, change, commit_message="mine", revision="refs/pr/1")
    ann.create_commit(repo, [CommitOperationDelete("a.txt")], commit_message="gone")
    assert ann.get_discussion_details(repo, 1).conflicting_files == ["a.txt"]
    with pytest.raises(HfHubHTTPError, match=r"main has changed too: a\.txt"):
        ann.merge_pull_request(repo, 1)
    assert ann.list_repo_files(repo) == [".gitattributes"]


@pytest.mark.filterwarnings("ignore:Hidden comments")
def test_a_discussion_goes_on_until_it_is_closed(
    shared_hub: HubServer, repo: str, stranger: HfApi
) -> None:
    ann = shared_hub.api()
    begun = stranger.create_discussion(repo, "Why <b>?", description="It says <script>.")
    said = ann.comment_discussion(repo, begun.num, "Becase")
    assert ann.edit_discussion_comment(repo, begun.num, said.id, "Because").edited
    with pytest.raises(HfHubHTTPError, match="403"):
        stranger.edit_discussion_comment(repo, begun.num, said.id, "No")
    with pytest.raises(HfHubHTTPError, match="403"):
        stranger.hide_discussion_comment(repo, begun.num, said.id)
    first = begun.events[0].id
    ann.hide_discussion_comment(repo, begun.num, first)
    with pytest.raises(HfHubHTTPError, match="hidden and stays so"):
        stranger.edit_discussion_comment(repo, begun.num, first, "It says it again.")
    assert stranger.rename_discussion(repo, begun.num, "Why?").old_title == "Why <b>?"
    ann.change_discussion_status(repo, begun.num, "closed", comment="Said.")
    assert [event.type for event in ann.get_discussion_details(repo, begun.num).events] == [
        *("comment", "comment", "title-change", "comment", "status-change")
    ]
    pull = ann.create_pull_request(repo, "Another")
    assert pull.num == begun.num + 1

    def found(**about: str) -> list[int]:
        return [one.num for one in ann.get_repo_discussions(repo, **about)]  # type: ignore[arg-type]

    assert found() == [pull.num, begun.num]
    assert found(discussion_status="closed") == [begun.num]
    assert found(discussion_type="pull_request") == [pull.num]
    assert found(author="bob") == [begun.num]
    with pytest.raises(HfHubHTTPError, match="404"):
        ann.get_discussion_details(repo, 99)
    with pytest.raises(BadRequestError):
        ann.get_discussion_details(repo, 10**30)
    ann.update_repo_settings(repo, private=True)
    with pytest.raises(HfHubHTTPError, match="404"):
        stranger.get_discussion_details(repo, begun.num)
