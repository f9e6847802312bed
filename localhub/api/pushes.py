"""What `git push` brings: objects and the refs it moves, taken whole or refused whole.

`git` itself opens the pack beside the bare copy of the repo; what is new in it goes into the store
under the rules that hold for a commit over HTTP.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from localhub.api.commits import card_errors, good_path, uploaded_size
from localhub.errors import bad_request, conflict, forbidden
from localhub.hub import Hub
from localhub.storage import gitobjects
from localhub.storage.bare import environment, fits
from localhub.storage.content import Commit
from localhub.storage.repos import Repo

NOTHING = "0" * 40
"""Stands for the commit of a ref that is not there."""

SUBMODULE = "160000"
MAIN = "refs/heads/main"
KEPT = ("refs/heads/", "refs/tags/", "refs/pr/")


@dataclass(frozen=True, slots=True)
class Move:
    """A ref that goes from one commit to another."""

    ref: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Push:
    """Refs to be moved by somebody, and the pack of what the repo may lack for it."""

    author: str
    moves: Sequence[Move]
    pack: bytes


def take(hub: Hub, repo: Repo, where: Path, push: Push) -> None:
    """Put what was pushed into the store and move the refs, all or none. Raises `Refusal`.

    `where` is the bare copy of the repo.
    """
    for move in push.moves:
        _check_ref(hub, repo, move)
    tips = [move.new for move in push.moves if move.new != NOTHING]
    objects = list(_brought(where, tips, push.pack)) if tips else []
    small = {oid: data for kind, oid, data in objects if kind == "blob"}
    large = {oid: found for oid, data in small.items() if (found := gitobjects.read_pointer(data))}
    trees = {oid: gitobjects.read_tree(data) for kind, oid, data in objects if kind == "tree"}
    _check_files(hub, small, trees)
    for oid, data in small.items():
        if oid not in large:
            hub.store.keep_bytes("git", oid, data)
    with hub.store.write():
        for oid, data in small.items():
            if oid in large:
                hub.content.add_pointer(
                    large[oid][0], uploaded_size(hub, repo, "a file", *large[oid])
                )
            else:
                hub.content.note_file(oid, len(data))
        for oid, entries in trees.items():
            hub.content.take_tree(oid, entries)
        for kind, oid, data in objects:
            if kind == "commit":
                hub.content.take_commit(repo.id, _commit(oid, data, push.author), data)
        for move in push.moves:
            _move(hub, repo, move)
        hub.repos.touch(repo)
    _tell(hub, repo, push.moves)


def _check_ref(hub: Hub, repo: Repo, move: Move) -> None:
    known = hub.content.ref(repo.id, move.ref)
    if not move.ref.startswith(KEPT) or not fits(move.ref):
        raise bad_request("branches and tags are kept here alone")
    if move.ref.startswith("refs/pr/") and known is None:
        raise bad_request("a pull request begins over HTTP: hf upload --create-pr")
    if move.ref == MAIN and move.new == NOTHING:
        raise forbidden("the main branch stays")


def _brought(where: Path, tips: list[str], pack: bytes) -> Iterator[tuple[str, str, bytes]]:
    """Yield kind, id and bytes of what a pack adds to a bare copy. Raises `Refusal`."""
    if pack:
        _git(where, "index-pack", "--stdin", "--fix-thin", given=pack)
    listed = _git(where, "rev-list", "--objects", "--no-object-names", *tips, "--not", "--all")
    names = dict.fromkeys([*listed.decode().split(), *tips])
    told = _git(where, "cat-file", "--batch", given="\n".join(names).encode())
    at = 0
    while at < len(told):
        end = told.index(b"\n", at)
        oid, kind, size = told[at:end].decode().split()
        at = end + 1 + int(size)
        if kind == "tag":
            raise bad_request("a tag with a message is not kept here: git tag NAME")
        yield kind, oid, told[end + 1 : at]
        at += 1


def _git(where: Path, *words: str, given: bytes = b"") -> bytes:
    done = subprocess.run(
        ["git", "-C", str(where), *words],
        input=given,
        capture_output=True,
        check=False,
        env=environment(),
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise bad_request(said[-1] if said else "git does not read this pack")
    return done.stdout


def _check_files(
    hub: Hub, small: dict[str, bytes], trees: dict[str, list[gitobjects.TreeEntry]]
) -> None:
    for entry in (entry for entries in trees.values() for entry in entries):
        good_path(entry.name)
        data = small.get(entry.oid, b"")
        if entry.mode == SUBMODULE:
            raise bad_request(f"{entry.name} is a submodule: a repo holds files alone")
        if len(data) > hub.options.lfs_above:
            raise bad_request(f"{entry.name} is too large for git: git lfs track {entry.name}")
        if entry.name == "README.md":
            for error in card_errors(data.decode("utf-8", "replace")):
                raise bad_request(error)


def _commit(oid: str, data: bytes, author: str) -> Commit:
    said = gitobjects.read_commit(data)
    return Commit(oid, said.tree, said.parents, author, said.when, said.message.rstrip("\n"))


def _move(hub: Hub, repo: Repo, move: Move) -> None:
    """Move a ref if it is where the push found it."""
    if (hub.content.ref(repo.id, move.ref) or NOTHING) != move.old:
        raise conflict("somebody else was faster: git pull")
    if move.new == NOTHING:
        hub.content.delete_ref(repo.id, move.ref)
    else:
        hub.content.set_ref(repo.id, move.ref, move.new)


def _tell(hub: Hub, repo: Repo, moves: Iterable[Move]) -> None:
    for move in moves:
        if move.ref == MAIN:
            hub.committed(repo, move.new)
        if NOTHING not in (move.old, move.new):
            hub.pushed(repo, move.ref, move.old, move.new)
