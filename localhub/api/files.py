"""The content of a revision: tree, paths-info, and the commit that last changed a path."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, urlencode

from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from localhub.api.repos import ONE
from localhub.clock import stamp
from localhub.errors import entry_not_found
from localhub.http.call import Answer, Call, endpoint
from localhub.hub import Hub
from localhub.storage.content import Commit, Content
from localhub.storage.gitobjects import TreeEntry
from localhub.storage.repos import Repo


def routes(hub: Hub) -> list[BaseRoute]:
    """Return the routes that list files."""
    return [
        Route(ONE + "/tree/{rev}", endpoint(hub, tree)),
        Route(ONE + "/tree/{rev}/{path:path}", endpoint(hub, tree)),
        Route(ONE + "/paths-info/{rev}", endpoint(hub, paths_info), methods=["POST"]),
        Route(ONE + "/treesize/{rev}", endpoint(hub, tree_size)),
        Route(ONE + "/treesize/{rev}/{path:path}", endpoint(hub, tree_size)),
    ]


def item(content: Content, path: str, entry: TreeEntry) -> dict[str, Any]:
    """Return a file or folder as the API lists it."""
    if entry.is_folder:
        return {"type": "directory", "oid": entry.oid, "size": 0, "path": path}
    blob = content.blob(entry.oid)
    about = {"type": "file", "oid": blob.oid, "size": blob.size, "path": path}
    if blob.sha256:
        about["lfs"] = {"oid": blob.sha256, "size": blob.size, "pointerSize": blob.pointer_size}
    return about


def tree(call: Call) -> Answer:
    """List a folder, or all below it, page by page. A file lists itself; absence is a 404."""
    repo = call.repo()
    content = call.hub.content
    sha = content.sha(repo.id, call.param("rev"))
    path = call.param("path").strip("/")
    root = content.find(content.commit(repo.id, sha).tree, path)
    if root is None:
        raise entry_not_found(path)
    found: Iterable[tuple[str, TreeEntry]]
    if not root.is_folder:
        found = [(path, root)]
    elif call.flag("recursive"):
        found = content.walk(root.oid, path + "/" if path else "")
    else:
        found = [(f"{path}/{e.name}".lstrip("/"), e) for e in content.entries(root.oid)]
    page, headers = paged(call, list(found))
    items = [item(content, *one) for one in page]
    if call.flag("expand"):
        add_last_commits(content, repo, sha, items)
    return JSONResponse(items, headers=headers | {"X-Repo-Commit": sha})


def paged(call: Call, items: list[Any]) -> tuple[list[Any], dict[str, str]]:
    """Return the page a request asks for and the `Link` header to the next one."""
    limit = min(int(call.query("limit") or call.hub.options.page), call.hub.options.page)
    start = int(call.query("cursor") or 0)
    headers = {}
    if start + limit < len(items):
        kept = [pair for pair in call.request.query_params.multi_items() if pair[0] != "cursor"]
        query = urlencode([*kept, ("cursor", str(start + limit))])
        raw = call.request.scope["raw_path"].decode("latin-1").partition("?")[0]
        headers["Link"] = f'<{call.hub.endpoint}{raw}?{query}>; rel="next"'
    return items[start : start + limit], headers


def add_last_commits(content: Content, repo: Repo, sha: str, items: list[dict[str, Any]]) -> None:
    """Set each item's last commit."""
    waiting = {one["path"]: one for one in items}
    newer: Commit | None = None
    for commit in content.history(repo.id, sha):
        if newer is not None:
            settle(content, waiting, newer, commit)
        newer = commit
        if not waiting:
            return
    if newer is not None:
        settle(content, waiting, newer, None)


def settle(
    content: Content, waiting: dict[str, dict[str, Any]], newer: Commit, older: Commit | None
) -> None:
    """Set `newer` as the last commit of those items that differ, or are absent, in `older`."""
    for path in list(waiting):
        before = content.find(older.tree, path) if older else None
        if before is None or before.oid != waiting[path]["oid"]:
            waiting.pop(path)["lastCommit"] = {
                "id": newer.sha,
                "title": newer.title,
                "date": stamp(newer.created),
            }


def paths_info(call: Call) -> Answer:
    """Describe the paths of the body, a form or JSON; those that are not there are left out."""
    repo = call.repo()
    content = call.hub.content
    sha = content.sha(repo.id, call.param("rev"))
    paths, expand = asked(call)
    root = content.commit(repo.id, sha).tree
    found = [(path, content.find(root, path)) for path in dict.fromkeys(paths)]
    items = [item(content, path, entry) for path, entry in found if entry]
    if expand:
        add_last_commits(content, repo, sha, items)
    return items


def asked(call: Call) -> tuple[list[str], bool]:
    """Return the paths of a request and whether it wants their last commits."""
    if "json" in call.request.headers.get("content-type", ""):
        body = call.json()
        paths = body.get("paths") or []
        return [paths] if isinstance(paths, str) else [str(p) for p in paths], bool(
            body.get("expand")
        )
    form = parse_qs(call.body.read().decode())
    return form.get("paths", []), form.get("expand", ["false"])[0].lower() == "true"


def tree_size(call: Call) -> Answer:
    """Answer how many bytes lie below a folder."""
    repo = call.repo()
    content = call.hub.content
    path = call.param("path").strip("/")
    sha = content.sha(repo.id, call.param("rev"))
    root = content.find(content.commit(repo.id, sha).tree, path)
    if root is None:
        raise entry_not_found(path)
    entries = content.walk(root.oid) if root.is_folder else [(path, root)]
    total = sum(content.blob(e.oid).size for _, e in entries if not e.is_folder)
    return {"path": "/" + path, "size": total}
