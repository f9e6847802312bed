"""Writing: which files go how (`preupload`), and the commit that makes them visible at once.

A commit's bytes lie on disk before its one transaction begins; the branch moves in it or not
at all. Two commits on the same `parentCommit`: one wins, the other gets 412.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import yaml
from starlette.routing import BaseRoute, Route

from localhub.api.card import front_matter
from localhub.api.discussions.handlers import opened, proposable
from localhub.api.patterns import ignored, lfs_patterns, matches
from localhub.api.repos import ONE
from localhub.api.revisions import HEADS
from localhub.errors import Refusal, bad_request, revision_not_found
from localhub.http.call import Answer, Call, endpoint
from localhub.hub import Hub
from localhub.storage import gitobjects
from localhub.storage.discussions import PULLS
from localhub.storage.repos import Repo


def routes(hub: Hub) -> list[BaseRoute]:
    """Return the routes that write files."""
    return [
        Route(ONE + "/preupload/{rev}", endpoint(hub, preupload), methods=["POST"]),
        Route(ONE + "/commit/{rev}", endpoint(hub, commit), methods=["POST"]),
        Route("/api/validate-yaml", endpoint(hub, validate_yaml), methods=["POST"]),
    ]


def writable(call: Call) -> Repo:
    """Return the repo if the caller may write to it, or may propose a change to it."""
    if call.flag("create_pr"):
        call.need_write_token()
        return call.repo()
    return proposable(call, call.param("rev"))


def preupload(call: Call) -> Answer:
    """Answer, for each file, whether it goes in the commit or ahead of it, or is there already."""
    repo = writable(call)
    content = call.hub.content
    body = call.json()
    sha = content.sha(repo.id, call.param("rev"))
    tree = content.commit(repo.id, sha).tree
    attributes = content.read(repo.id, sha, ".gitattributes") or b""
    large = lfs_patterns(body.get("gitAttributes") or attributes.decode())
    answers = []
    for file in body.get("files") or []:
        path, size = str(file["path"]), int(file["size"])
        is_large = size > 0 and (size > call.hub.options.lfs_above or matches(large, path))
        answer: dict[str, Any] = {
            "path": path,
            "uploadMode": "lfs" if is_large else "regular",
            "shouldIgnore": ignored(str(body.get("gitIgnore") or ""), path),
        }
        entry = content.find(tree, path)
        if entry and not entry.is_folder:
            blob = content.blob(entry.oid)
            answer["oid"] = blob.sha256 or blob.oid
        answers.append(answer)
    return {"files": answers, "commitOid": sha}


def validate_yaml(call: Call) -> Answer:
    """Answer what is wrong with a README's front matter; 400 if it is not YAML at all."""
    body = call.json()
    errors = card_errors(str(body.get("content") or ""))
    if errors:
        found: list[object] = [{"message": error} for error in errors]
        raise Refusal(
            HTTPStatus.BAD_REQUEST, errors[0], body={"errors": found, "warnings": [], "error": ""}
        )
    return {"errors": [], "warnings": []}


def card_errors(text: str) -> list[str]:
    """Return what makes a README's front matter unacceptable."""
    try:
        front_matter(text)
    except (yaml.YAMLError, TypeError) as error:
        return [f"Invalid metadata in README.md: {' '.join(str(error).split())}"]
    return []


@dataclass
class Change:
    """A commit as its lines describe it; contents of small files are on disk already."""

    title: str = ""
    description: str = ""
    parent: str | None = None
    files: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Path to git id and size of small files."""
    large: dict[str, tuple[str, int | None]] = field(default_factory=dict)
    """Path to SHA-256 and size of large files; copies within a repo come without a size."""
    copies: list[tuple[str, str, str]] = field(default_factory=list)
    """Source path, source revision (or ""), target path."""
    deleted: list[str] = field(default_factory=list)
    deleted_folders: list[str] = field(default_factory=list)

    @property
    def message(self) -> str:
        return self.title + (f"\n\n{self.description}" if self.description else "")


def read_change(call: Call) -> Change:
    """Read the lines of a commit, putting small files on disk one after the other."""
    change = Change()
    for line in call.body:
        if not line.strip():
            continue
        try:
            part = json.loads(line)
            read_part(call, change, part["key"], part["value"])
        except (ValueError, KeyError, TypeError, binascii.Error) as error:
            raise bad_request(f"A line of the commit makes no sense: {error!r}") from error
    if not change.title:
        raise bad_request("A commit needs a header with a summary")
    return change


def read_part(call: Call, change: Change, key: str, value: dict[str, Any]) -> None:
    """Take in one line of a commit."""
    if key == "header":
        change.title = str(value.get("summary") or "").strip() or "Update"
        change.description = str(value.get("description") or "")
        change.parent = value.get("parentCommit") or None
        return
    path = good_path(str(value["path"]))
    old = value.get("oldPath") or value.get("srcPath")
    if key == "copyFile" or (old and key in ("file", "lfsFile")):
        source = good_path(str(old or value["src"]))
        change.copies.append((source, str(value.get("srcRevision") or ""), path))
        if key != "copyFile":
            change.deleted.append(source)
    elif key == "file":
        data = decoded(value)
        if stands_for := gitobjects.read_pointer(data):
            # Whoever writes a pointer by hand gets no more than whoever names a hash.
            change.large[path] = stands_for
        else:
            change.files[path] = keep_small(call, path, data)
    elif key == "lfsFile":
        size = value.get("size")
        change.large[path] = str(value["oid"]), None if size is None else int(size)
    elif key in ("deletedFile", "deletedEntry"):
        change.deleted.append(path)
    elif key == "deletedFolder":
        change.deleted_folders.append(path)
    else:
        raise bad_request(f"Unknown operation in commit: {key}")


def good_path(path: str) -> str:
    """Return a path if a repo may hold it."""
    path = path.rstrip("/")
    if any(part in ("", ".", "..", ".git") for part in path.split("/")) or "\0" in path:
        raise bad_request(f"Invalid path in commit: {path!r}")
    return path


def decoded(value: dict[str, Any]) -> bytes:
    """Return the bytes of a small file."""
    text = str(value.get("content") or "")
    encoded = value.get("encoding", "utf-8") == "base64"
    return base64.b64decode(text, validate=True) if encoded else text.encode()


def keep_small(call: Call, path: str, data: bytes) -> tuple[str, int]:
    """Put a small file on disk and return its id and size."""
    if len(data) > call.hub.options.lfs_above:
        raise bad_request(f"{path} is too large for a commit: upload it with LFS first")
    if path == "README.md":
        for error in card_errors(data.decode("utf-8", "replace")):
            raise bad_request(error)
    oid = gitobjects.blob_id(data)
    call.hub.store.keep_bytes("git", oid, data)
    return oid, len(data)


def commit(call: Call) -> Answer:
    """Make a commit on a branch, or as a pull request; refused whole or made whole."""
    repo = writable(call)
    as_proposal = call.flag("create_pr")
    rev = call.param("rev")
    change = read_change(call)
    with call.hub.store.write():
        ref, tip = target(call, repo, rev, change, as_proposal=as_proposal)
        sha = call.hub.content.add_commit(
            repo.id,
            changed_files(call.hub, repo, tip, change),
            parents=[tip],
            author=call.need_user(),
            when=call.hub.clock.now(),
            message=change.message,
        )
        call.hub.content.set_ref(repo.id, ref, sha)
        call.hub.repos.touch(repo)
    if ref == HEADS + "main":
        call.hub.committed(repo, sha)
    call.hub.pushed(repo, ref, tip, sha)
    return answer_of(call.hub, repo, ref, sha)


def target(
    call: Call, repo: Repo, rev: str, change: Change, *, as_proposal: bool
) -> tuple[str, str]:
    """Return the ref a commit goes to and the commit it is at, refusing a stale parent.

    As a proposal it goes to the ref of a new pull request.
    """
    hub, parent = call.hub, change.parent
    if as_proposal:
        base = hub.content.sha(repo.id, parent or rev)
        made = opened(call, repo, change.title, change.description, status="open", base=base)
        return made.ref, base
    ref = rev if rev.startswith("refs/") else HEADS + rev
    tip = hub.content.ref(repo.id, ref)
    if tip is None:
        raise revision_not_found(rev)
    if parent and not tip.startswith(parent):
        raise Refusal(
            HTTPStatus.PRECONDITION_FAILED,
            "A commit has happened since. Please refresh and try again.",
        )
    return ref, tip


def changed_files(hub: Hub, repo: Repo, tip: str, change: Change) -> dict[str, str]:
    """Return the files of the new commit: deletions first, so that a path can be replaced."""
    files = hub.content.ids_at(repo.id, tip)
    copied = {path: source_id(hub, repo, rev or tip, source) for source, rev, path in change.copies}
    for path in change.deleted:
        if files.pop(path, None) is None:
            raise bad_request(f"A file with the name {path} does not exist")
    for folder in change.deleted_folders:
        for path in [path for path in files if path.startswith(folder + "/")]:
            del files[path]
    new = dict(copied)
    for path, (oid, size) in change.files.items():
        hub.content.note_file(oid, size)
        new[path] = oid
    for path, (sha256, said) in change.large.items():
        known = uploaded_size(hub, repo, path, sha256, said)
        new[path] = hub.content.add_pointer(sha256, known)
    for path in new:
        clear_the_way(files, path)
    return files | new


def clear_the_way(files: dict[str, str], path: str) -> None:
    """Drop what a new file replaces: a folder of its name, or files in place of its folders."""
    parts = path.split("/")
    for depth in range(1, len(parts)):
        files.pop("/".join(parts[:depth]), None)
    if path not in files:
        for other in [other for other in files if other.startswith(path + "/")]:
            del files[other]


def source_id(hub: Hub, repo: Repo, rev: str, path: str) -> str:
    """Return the id of a file that is copied within its repo."""
    tree = hub.content.commit(repo.id, hub.content.sha(repo.id, rev)).tree
    entry = hub.content.find(tree, path)
    if entry is None or entry.is_folder:
        raise bad_request(f"Cannot copy {path}: no such file")
    return entry.oid


def uploaded_size(hub: Hub, repo: Repo, path: str, sha256: str, size: int | None) -> int:
    """Return the bytes of a large file, or refuse it if this repo was never given its content."""
    known = hub.content.large.size(repo.id, sha256)
    if known is None or size not in (None, known):
        raise bad_request(
            f"LFS pointer pointed to a file that does not exist: {path} ({sha256}, {size} bytes)"
        )
    return known


def answer_of(hub: Hub, repo: Repo, ref: str, sha: str) -> dict[str, Any]:
    """Return what a client is told of its commit."""
    page = f"{hub.endpoint}/{repo.page}"
    answer = {
        "success": True,
        "commitOid": sha,
        "commitUrl": f"{page}/commit/{sha}",
        "hookOutput": "",
    }
    if ref.startswith(PULLS):
        answer["pullRequestUrl"] = f"{page}/discussions/{ref.removeprefix(PULLS)}"
    return answer
