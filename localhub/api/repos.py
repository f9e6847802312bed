"""Repos over HTTP: create, delete, move, settings, access. What they hold is other rooms' work."""

from __future__ import annotations

from typing import Any, cast

from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import BaseRoute, Route

from localhub.errors import bad_request, forbidden, repo_not_found
from localhub.http.call import Answer, Call, endpoint
from localhub.hub import Hub
from localhub.storage.repos import PREFIX, Repo, RepoType

ONE = "/api/{kind}/{ns}/{name}"
"""Path of one repo; `kind` is models, datasets or spaces."""


def routes(hub: Hub) -> list[BaseRoute]:
    """Return the routes by which repos come, change and go."""
    return [
        Route("/api/repos/create", endpoint(hub, create), methods=["POST"]),
        Route("/api/repos/delete", endpoint(hub, delete), methods=["DELETE"]),
        Route("/api/repos/move", endpoint(hub, move), methods=["POST"]),
        Route(ONE + "/duplicate", endpoint(hub, duplicate), methods=["POST"]),
        Route(ONE + "/settings", endpoint(hub, settings), methods=["PUT"]),
        Route(ONE + "/visibility", endpoint(hub, settings), methods=["PUT"]),
        Route(ONE + "/auth-check", endpoint(hub, auth_check)),
        Route(ONE + "/auth-check/write", endpoint(hub, auth_check_write)),
        Route(ONE + "/ask-access", endpoint(hub, ask_access), methods=["POST"]),
        Route(ONE + "/user-access-request/grant", endpoint(hub, grant), methods=["POST"]),
        Route("/{ns}/{name}/ask-access", endpoint(hub, ask_access), methods=["POST"]),
        Route("/{kind}/{ns}/{name}/ask-access", endpoint(hub, ask_access), methods=["POST"]),
    ]


def repo_type(body: dict[str, Any]) -> RepoType:
    """Return the type a body names; a model if it names none."""
    named = body.get("type") or "model"
    if named not in PREFIX:
        raise bad_request(f"Invalid repo type: {named}")
    return cast(RepoType, named)


def is_private(body: dict[str, Any], default: bool | None) -> bool | None:
    """Return the visibility a body asks for: `visibility`, or `private` as older clients say."""
    if "visibility" in body:
        # A protected Space shows its page and hides its code, so its repo is private.
        return body["visibility"] in ("private", "protected")
    return default if body.get("private") is None else bool(body["private"])


def full_name_of(call: Call, body: dict[str, Any]) -> str:
    """Return `owner/name` of a body that gives the owner apart, inside the name, or not at all."""
    name = str(body.get("name") or "")
    if "/" in name:
        return name
    return f"{body.get('organization') or call.need_user()}/{name}"


def create(call: Call) -> Answer:
    """Make a repo. 409 if it is there, 403 under a namespace that is not the caller's."""
    user = call.need_write_token()
    body = call.json()
    kind = repo_type(body)
    if kind == "bucket":
        raise bad_request("A bucket is made by POST /api/buckets/{owner}/{name}")
    full_name = full_name_of(call, body)
    ns = full_name.partition("/")[0]
    if not call.caller.may_create(ns):
        raise forbidden(f'You don\'t have the rights to create a {kind} under the namespace "{ns}"')
    url = f"{call.hub.endpoint}/{PREFIX[kind]}{full_name}"
    with call.hub.store.write():
        repo = call.hub.repos.create(
            kind, full_name, private=bool(is_private(body, False)), creator=user, url=url
        )
        call.hub.created(repo, body, call.caller)
    return {"url": url, "name": repo.full_name, "id": str(repo.id), "private": repo.private}


def delete(call: Call) -> Answer:
    """Remove a repo and everything in it."""
    call.need_write_token()
    body = call.json()
    remove(call.hub, named(call, repo_type(body), full_name_of(call, body)))
    return None


def remove(hub: Hub, repo: Repo) -> None:
    """Remove a repo, or a bucket, with what it alone holds."""
    large = hub.content.large.files(repo.id)
    with hub.store.write():
        hub.deleted(repo)
        hub.repos.delete(repo)
    hub.content.large.sweep(large)


def named(call: Call, kind: RepoType, full_name: str) -> Repo:
    """Return a repo that a body names, if the caller may change it."""
    repo = call.hub.repos.find(kind, full_name)
    if repo is None or not call.caller.may_read(repo):
        raise repo_not_found(anonymous=False)
    if not call.caller.may_write(repo):
        raise forbidden(f"Forbidden: you have no write access to {full_name}")
    return repo


def move(call: Call) -> Answer:
    """Rename a repo or give it to another namespace; its old name redirects."""
    call.need_write_token()
    body = call.json()
    kind = repo_type(body)
    target = str(body.get("toRepo") or "")
    repo = named(call, kind, str(body.get("fromRepo") or ""))
    if not call.caller.may_create(target.partition("/")[0]):
        raise forbidden(f"You don't have the rights to create a {kind} as {target}")
    with call.hub.store.write():
        renamed = call.hub.repos.rename(repo, target, f"{call.hub.endpoint}/{PREFIX[kind]}{target}")
        call.hub.moved(repo, renamed)
    return PlainTextResponse("OK")


def duplicate(call: Call) -> Answer:
    """Copy a repo's files, as they are on main, into a new repo."""
    user = call.need_write_token()
    source = call.readable()
    body = call.json()
    target = str(body.get("repository") or "")
    if not call.caller.may_create(target.partition("/")[0]):
        raise forbidden(f"You don't have the rights to create a {source.type} as {target}")
    url = f"{call.hub.endpoint}/{PREFIX[source.type]}{target}"
    content = call.hub.content
    with call.hub.store.write():
        private = bool(is_private(body, source.private))
        made = call.hub.repos.create(source.type, target, private=private, creator=user, url=url)
        sha = content.add_commit(
            made.id,
            content.ids_at(source.id, content.sha(source.id, "main")),
            parents=(),
            author=user,
            when=call.hub.clock.now(),
            message=f"Duplicate from {source.full_name}",
        )
        content.set_ref(made.id, "refs/heads/main", sha)
        call.hub.created(made, body, call.caller)
    call.hub.committed(made, sha)
    return {"url": url}


def settings(call: Call) -> Answer:
    """Set visibility and gating."""
    repo = call.repo(write=True)
    body = call.json()
    gated = body.get("gated")
    if gated not in (None, False, "auto", "manual"):
        raise bad_request(f"gated should be false, auto or manual, not {gated}")
    changed = call.hub.repos.change(
        repo,
        private=is_private(body, None),
        gated=None if gated is None else gated or "",
    )
    return {"private": changed.private, "gated": changed.gated or False}


def auth_check(call: Call) -> Answer:
    """Answer whether the caller may read the repo's files."""
    call.readable()
    return PlainTextResponse("OK")


def auth_check_write(call: Call) -> Answer:
    """Answer whether the caller may write to the repo."""
    call.repo(write=True)
    return PlainTextResponse("OK")


def ask_access(call: Call) -> Answer:
    """Accept the terms of a gated repo: `auto` lets in at once, `manual` waits for its owner."""
    repo = call.repo()
    user = call.need_user()
    if repo.gated != "manual":
        call.hub.repos.accept(repo, user)
    return JSONResponse({"accepted": repo.gated != "manual"})


def grant(call: Call) -> Answer:
    """Let a user past the gate, as the repo's owner."""
    repo = call.repo(write=True)
    user = str(call.json().get("user") or "")
    if call.hub.accounts.find(user) is None:
        raise bad_request(f"No such user: {user}")
    call.hub.repos.accept(repo, user)
    return None
