"""Discussions and pull requests over HTTP: listed, begun, answered, renamed, closed, merged."""

from __future__ import annotations

from typing import Any

from starlette.routing import BaseRoute, Route

from localhub.api.discussions import merging
from localhub.api.repos import ONE
from localhub.clock import stamp
from localhub.errors import bad_request, entry_not_found, forbidden
from localhub.http.call import Answer, Call, endpoint
from localhub.hub import Hub
from localhub.storage.content import Commit
from localhub.storage.discussions import Discussion, Happening, Status
from localhub.storage.repos import Repo

PAGE = 50
"""Discussions in one answer."""

LONGEST = 65_536
"""Characters of a comment."""


def routes(hub: Hub) -> list[BaseRoute]:
    """Return the routes of discussions."""
    every, one = ONE + "/discussions", ONE + "/discussions/{num:int}"
    posted = {
        "comment": comment,
        "title": rename,
        "status": set_status,
        "merge": merge,
        "comment/{event}/edit": edit,
        "comment/{event}/hide": hide,
    }
    return [
        Route(every, endpoint(hub, listing), methods=["GET"]),
        Route(every, endpoint(hub, begin), methods=["POST"]),
        Route(one, endpoint(hub, details), methods=["GET"]),
        *(
            Route(f"{one}/{path}", endpoint(hub, handler), methods=["POST"])
            for path, handler in posted.items()
        ),
    ]


def begun(hub: Hub, repo: Repo, num: int) -> Discussion:
    """Return a discussion, or refuse with 404."""
    found = hub.discussions.find(repo.id, num)
    if found is None:
        raise entry_not_found(f"discussions/{num}")
    return found


def located(call: Call, *, write: bool = False) -> tuple[Repo, Discussion]:
    """Return the discussion of the path, of a repo that the caller may see.

    With `write` it is refused to all but its author and those who write to the repo.
    """
    repo = call.repo()
    found = begun(call.hub, repo, int(call.param("num")))
    if write and call.need_write_token() != found.author and not call.caller.may_write(repo):
        raise forbidden("Only its author and those who write to the repo can change it")
    return repo, found


def text_of(body: dict[str, Any], name: str) -> str:
    """Return a text that the body needs."""
    text = body.get(name)
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST:
        raise bad_request(f"{name} has to be a text of 1 to {LONGEST} characters")
    return text.strip()


def described(repo: Repo, found: Discussion) -> dict[str, Any]:
    """Return what a list tells of a discussion."""
    return {
        "num": found.num,
        "title": found.title,
        "author": {"name": found.author, "type": "user"},
        "createdAt": stamp(found.created),
        "status": found.status,
        "isPullRequest": found.is_pull_request,
        "repo": {"name": repo.full_name, "type": repo.type},
        "pinned": False,
    }


def event(one: Happening) -> dict[str, Any]:
    """Return something that happened as the API tells it."""
    return {
        "id": one.id,
        "type": one.type,
        "author": {"name": one.author, "type": "user"},
        "createdAt": stamp(one.created),
        "data": one.data,
    }


def _commit(commit: Commit) -> dict[str, Any]:
    data = {"subject": commit.title, "oid": commit.sha}
    return event(Happening(commit.sha[:24], "commit", commit.author, commit.created, data))


def listing(call: Call) -> Answer:
    """List a repo's discussions by kind, status and author, page by page."""
    repo = call.repo()
    kind, status, author = (call.query(name) for name in ("type", "status", "author"))
    found = [
        one
        for one in call.hub.discussions.all(repo.id)
        if kind in ("", "all", "pull_request" if one.is_pull_request else "discussion")
        and status in ("", "all", "open" if one.status in ("open", "draft") else "closed")
        and author in ("", one.author)
    ]
    start = max(int(call.query("p") or 0), 0) * PAGE
    shown = [described(repo, one) for one in found[start : start + PAGE]]
    return {"discussions": shown, "count": len(found), "start": start}


def begin(call: Call) -> Answer:
    """Begin a discussion, or a pull request that is a draft without changes."""
    call.need_write_token()
    repo = call.repo()
    body = call.json()
    title, text = text_of(body, "title"), text_of(body, "description")
    base = call.hub.content.sha(repo.id, "main") if body.get("pullRequest") else ""
    with call.hub.store.write():
        made = opened(call, repo, title, text, status="draft" if base else "open", base=base)
        if base:
            call.hub.content.set_ref(repo.id, made.ref, base)
    return {
        "num": made.num,
        "url": f"{call.hub.endpoint}/{repo.page}/discussions/{made.num}",
        "pullRequest": made.is_pull_request,
    }


def opened(
    call: Call, repo: Repo, title: str, text: str, *, status: Status, base: str = ""
) -> Discussion:
    """Begin a discussion of the caller's with a first comment; one with a `base` is a request."""
    hub, now, author = call.hub, call.hub.clock.now(), call.need_user()
    made = hub.discussions.open(repo.id, title, author, when=now, status=status, base=base)
    _happened(call, repo, made, "comment", said(text))
    return made


def said(text: str, *, edited: bool = False, hidden: bool = False) -> dict[str, Any]:
    """Return a comment as the API tells it."""
    return {"edited": edited, "hidden": hidden, "latest": {"raw": text}}


def details(call: Call) -> Answer:
    """Describe a discussion with all that happened; of a pull request what it changes, too."""
    hub, (repo, found) = call.hub, located(call)
    told = described(repo, found)
    events = [event(one) for one in hub.discussions.happenings(repo.id, found.num)]
    if found.is_pull_request:
        changed = merging.changes(hub, repo, found)
        events += map(_commit, merging.commits(hub, repo, found))
        open_ = found.status in ("open", "draft")
        told |= {
            "changes": {"base": merging.MAIN, "mergeCommitId": found.merged or None},
            "filesWithConflicts": merging.conflicts(hub, repo, changed) if open_ else [],
        }
        if call.flag("diff"):
            told["diff"] = merging.diff(hub, changed)
    return told | {"events": sorted(events, key=lambda one: str(one["createdAt"]))}


def comment(call: Call) -> Answer:
    """Say something."""
    call.need_write_token()
    repo, found = located(call)
    text = text_of(call.json(), "comment")
    return {"newMessage": _happened(call, repo, found, "comment", said(text))}


def _happened(
    call: Call, repo: Repo, found: Discussion, kind: str, data: dict[str, Any]
) -> dict[str, Any]:
    """Record what the caller says or does, and return it as the API tells it."""
    author, now = call.need_user(), call.hub.clock.now()
    return event(
        call.hub.discussions.add(repo.id, found.num, kind, author=author, when=now, data=data)
    )


def rename(call: Call) -> Answer:
    """Give a discussion another title."""
    repo, found = located(call, write=True)
    title = text_of(call.json(), "title")
    with call.hub.store.write():
        call.hub.discussions.change(repo.id, found.num, title=title)
        data = {"from": found.title, "to": title}
        return {"newTitle": _happened(call, repo, found, "title-change", data)}


def set_status(call: Call) -> Answer:
    """Close a discussion or open it again, with or without a comment."""
    repo, found = located(call, write=True)
    body = call.json()
    status = body.get("status")
    if status not in ("open", "closed"):
        raise bad_request("status has to be open or closed")
    if found.status == "merged":
        raise bad_request("It has been merged and stays so")
    with call.hub.store.write():
        if body.get("comment"):
            text = text_of(body, "comment")
            _happened(call, repo, found, "comment", said(text))
        call.hub.discussions.change(repo.id, found.num, status=status)
        data = {"status": status}
        return {"newStatus": _happened(call, repo, found, "status-change", data)}


def merge(call: Call) -> Answer:
    """Put what a pull request changes into main, as whoever writes to the repo."""
    repo = call.repo(write=True)
    _, found = located(call)
    if not found.is_pull_request or found.status in ("closed", "merged"):
        raise bad_request(f"#{found.num} is no open pull request")
    body, author = call.json(), call.need_user()
    with call.hub.store.write():
        old, new = merging.merge(call.hub, repo, found, author)
        if body.get("comment"):
            text = text_of(body, "comment")
            _happened(call, repo, found, "comment", said(text))
        call.hub.discussions.change(repo.id, found.num, status="merged", merged=new)
        _happened(call, repo, found, "status-change", {"status": "merged"})
    call.hub.committed(repo, new)
    call.hub.pushed(repo, merging.MAIN, old, new)
    return {"mergeCommitId": new}


def edit(call: Call) -> Answer:
    """Replace what one has said oneself."""
    repo, found = located(call)
    one = _comment(call, repo, found)
    if call.need_write_token() != one.author:
        raise forbidden("Only who said it can change it")
    if one.data["hidden"]:
        raise bad_request("It has been hidden and stays so")
    data = said(text_of(call.json(), "content"), edited=True)
    return _rewritten(call, one, data)


def hide(call: Call) -> Answer:
    """Hide what somebody has said, for good: its author, or who writes to the repo."""
    repo, found = located(call)
    one = _comment(call, repo, found)
    if call.need_write_token() != one.author and not call.caller.may_write(repo):
        raise forbidden("Only who said it and those who write to the repo can hide it")
    return _rewritten(call, one, said("", hidden=True))


def _comment(call: Call, repo: Repo, found: Discussion) -> Happening:
    for one in call.hub.discussions.happenings(repo.id, found.num):
        if one.id == call.param("event") and one.type == "comment":
            return one
    raise entry_not_found(f"comment {call.param('event')}")


def _rewritten(call: Call, one: Happening, data: dict[str, Any]) -> Answer:
    call.hub.discussions.rewrite(one, data)
    return {"updatedComment": event(one) | {"data": data}}


def proposable(call: Call, rev: str) -> Repo:
    """Return the repo of the path if the caller may write to a revision of it.

    Whoever has opened a pull request may write to its ref.
    """
    found = call.hub.discussions.of_ref((repo := call.repo()).id, rev)
    mine = found is not None and found.author == call.caller.name
    if found is not None and mine and found.status in ("draft", "open"):
        call.need_write_token()
        return repo
    return call.repo(write=True)
