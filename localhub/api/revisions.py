"""Branches, tags, history, squashing."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from localhub.api.files import paged
from localhub.api.repos import ONE
from localhub.clock import stamp
from localhub.errors import bad_request, conflict, forbidden, revision_not_found
from localhub.http.call import Answer, Call, endpoint
from localhub.hub import Hub
from localhub.storage.discussions import PULLS

HEADS = "refs/heads/"
TAGS = "refs/tags/"


def routes(hub: Hub) -> list[BaseRoute]:
    """Return the routes about revisions."""
    return [
        Route(ONE + "/refs", endpoint(hub, refs)),
        Route(ONE + "/commits/{rev}", endpoint(hub, commits)),
        Route(ONE + "/branch/{branch}", endpoint(hub, create_branch), methods=["POST"]),
        Route(ONE + "/branch/{branch}", endpoint(hub, delete_branch), methods=["DELETE"]),
        Route(ONE + "/tag/{rev}", endpoint(hub, create_tag), methods=["POST"]),
        Route(ONE + "/tag/{rev}", endpoint(hub, delete_tag), methods=["DELETE"]),
        Route(ONE + "/super-squash/{branch}", endpoint(hub, super_squash), methods=["POST"]),
    ]


def refs(call: Call) -> Answer:
    """List branches and tags, and pull requests if asked for."""
    found = call.hub.content.refs(call.repo().id)

    def below(prefix: str) -> list[dict[str, str]]:
        return [
            {"name": name.removeprefix(prefix), "ref": name, "targetCommit": sha}
            for name, sha in found.items()
            if name.startswith(prefix)
        ]

    answer = {"branches": below(HEADS), "tags": below(TAGS), "converts": []}
    if call.flag("include_prs") or call.flag("include_pull_requests"):
        answer["pullRequests"] = below(PULLS)
    return answer


def commits(call: Call) -> Answer:
    """List a revision's commits, newest first."""
    repo = call.repo()
    content = call.hub.content
    history = list(content.history(repo.id, content.sha(repo.id, call.param("rev"))))
    page, headers = paged(call, history)
    listed: list[dict[str, Any]] = [
        {
            "id": commit.sha,
            "title": commit.title,
            "message": commit.body,
            "authors": [{"user": commit.author, "avatar": f"/avatars/{commit.author}.svg"}],
            "date": stamp(commit.created),
            "formatted": {"title": commit.title, "message": commit.body},
        }
        for commit in page
    ]
    return JSONResponse(listed, headers=headers | {"X-Total-Count": str(len(history))})


def create_branch(call: Call) -> Answer:
    """Start a branch at `startingPoint`, or at main; 409 if it is there."""
    repo = call.repo(write=True)
    branch = call.param("branch")
    body = call.json()
    with call.hub.store.write():
        if call.hub.content.ref(repo.id, HEADS + branch) and not body.get("overwrite"):
            raise conflict(f"Reference already exists: {branch}")
        sha = call.hub.content.sha(repo.id, str(body.get("startingPoint") or "main"))
        if body.get("emptyBranch"):
            sha = call.hub.content.add_commit(
                repo.id,
                {},
                parents=(),
                author=call.need_user(),
                when=call.hub.clock.now(),
                message="Initialize branch",
            )
        call.hub.content.set_ref(repo.id, HEADS + branch, sha)
    return None


def delete_branch(call: Call) -> Answer:
    """Remove a branch; main stays."""
    repo = call.repo(write=True)
    branch = call.param("branch")
    if branch == "main":
        raise forbidden("Cannot delete the main branch of a repo")
    if call.hub.content.ref(repo.id, HEADS + branch) is None:
        raise revision_not_found(branch)
    call.hub.content.delete_ref(repo.id, HEADS + branch)
    return None


def create_tag(call: Call) -> Answer:
    """Name a revision; 409 if the name is taken."""
    repo = call.repo(write=True)
    tag = str(call.json().get("tag") or "")
    if not tag:
        raise bad_request("tag is required")
    with call.hub.store.write():
        if call.hub.content.ref(repo.id, TAGS + tag):
            raise conflict(f"Tag reference exists already: {tag}")
        sha = call.hub.content.sha(repo.id, call.param("rev"))
        call.hub.content.set_ref(repo.id, TAGS + tag, sha)
    return None


def delete_tag(call: Call) -> Answer:
    """Remove a tag."""
    repo = call.repo(write=True)
    if call.hub.content.ref(repo.id, TAGS + call.param("rev")) is None:
        raise revision_not_found(call.param("rev"))
    call.hub.content.delete_ref(repo.id, TAGS + call.param("rev"))
    return None


def super_squash(call: Call) -> Answer:
    """Make a branch one commit without a past, holding the same files."""
    repo = call.repo(write=True)
    branch = call.param("branch")
    content = call.hub.content
    with call.hub.store.write():
        old = content.ref(repo.id, HEADS + branch)
        if old is None:
            raise revision_not_found(branch)
        sha = content.add_commit(
            repo.id,
            content.ids_at(repo.id, old),
            parents=(),
            author=call.need_user(),
            when=call.hub.clock.now(),
            message=str(call.json().get("message") or f"Super-squash branch '{branch}'"),
        )
        content.set_ref(repo.id, HEADS + branch, sha)
        call.hub.repos.touch(repo)
    if branch == "main":
        call.hub.committed(repo, sha)
    return None
