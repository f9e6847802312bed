"""Files on their way out: `resolve` with ranges, redirects for large ones, and `raw`."""

from __future__ import annotations

import mimetypes

from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from localhub.api.signing import sign
from localhub.errors import entry_not_found
from localhub.http.call import Answer, Call, endpoint
from localhub.hub import Hub
from localhub.storage.content import Blob
from localhub.storage.gitobjects import pointer
from localhub.storage.repos import Repo


def routes(hub: Hub) -> list[BaseRoute]:
    """Return the routes that send files."""
    return [
        Route(f"{prefix}/{{ns}}/{{name}}/{verb}/{{rev}}/{{path:path}}", endpoint(hub, handler))
        for prefix in ("", "/{kind}")
        for verb, handler in (("resolve", resolve), ("raw", raw))
    ]


def located(call: Call) -> tuple[Repo, str, Blob]:
    """Return the repo, the commit and the file of a request; refusals carry the commit."""
    repo = call.readable()
    content = call.hub.content
    sha = content.sha(repo.id, call.param("rev"))
    path = call.param("path")
    entry = content.find(content.commit(repo.id, sha).tree, path)
    blob = content.blob(entry.oid) if entry and not entry.is_folder else None
    removed = blob and blob.sha256 and content.large.size(repo.id, blob.sha256) is None
    if blob is None or removed:
        missing = entry_not_found(path)
        missing.headers["X-Repo-Commit"] = sha
        raise missing
    return repo, sha, blob


def resolve(call: Call) -> Answer:
    """Send a small file, or say where a large one lies."""
    repo, sha, blob = located(call)
    path = call.param("path")
    headers = {"X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
    if blob.sha256:
        url = sign(call.hub, "GET", f"/_storage/{repo.id}/{blob.sha256}", blob.size, filename=path)
        headers |= {
            "Location": url,
            "X-Linked-Size": str(blob.size),
            "X-Linked-Etag": f'"{blob.sha256}"',
        }
        return PlainTextResponse(f"Found. Redirecting to {url}", 302, headers=headers)
    headers["ETag"] = f'"{blob.oid}"'
    headers["Content-Disposition"] = "inline"
    if call.request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    media_type = mimetypes.guess_type(path)[0] or "text/plain"
    return FileResponse(
        call.hub.content.path_of(blob), headers=headers, media_type=safe(media_type)
    )


def safe(media_type: str) -> str:
    """Return a type under which a browser runs nothing somebody uploaded."""
    harmless = media_type.startswith(("image/", "audio/", "video/")) and "svg" not in media_type
    return media_type if harmless or media_type == "application/json" else "text/plain"


def raw(call: Call) -> Answer:
    """Send what git holds: of a large file, its pointer."""
    _, sha, blob = located(call)
    headers = {"X-Repo-Commit": sha, "ETag": f'"{blob.oid}"'}
    if blob.sha256:
        return PlainTextResponse(pointer(blob.sha256, blob.size), headers=headers)
    return FileResponse(call.hub.content.path_of(blob), headers=headers, media_type="text/plain")
