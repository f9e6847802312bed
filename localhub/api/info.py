"""What the Hub knows of a repo: its description, and lists of repos.

Most of it is read off the files of the revision: card, config, safetensors headers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import yaml
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from localhub.api import models
from localhub.api.card import front_matter
from localhub.api.files import paged
from localhub.api.nowhere import nowhere
from localhub.api.repos import ONE
from localhub.clock import stamp
from localhub.http.call import Answer, Call, endpoint
from localhub.hub import Hub
from localhub.storage.content import Blob
from localhub.storage.repos import PREFIX, Repo

LISTED = frozenset(
    (
        *("_id", "id", "modelId", "author", "sha", "private", "gated", "disabled", "tags", "sdk"),
        *("lastModified", "createdAt", "downloads", "likes", "library_name", "pipeline_tag"),
    )
)
"""What a list tells of each repo unless it is asked for more."""


def routes(hub: Hub) -> list[BaseRoute]:
    """Return the routes that describe repos."""
    return [
        Route("/api/{kind}", endpoint(hub, listing)),
        Route("/api/{kind}-tags-by-type", endpoint(hub, lambda _: {})),
        Route(ONE, endpoint(hub, info)),
        Route(ONE + "/revision/{rev}", endpoint(hub, info)),
    ]


@dataclass
class About:
    """A repo at a revision; each part is worked out when it is asked for."""

    hub: Hub
    repo: Repo
    sha: str

    def read(self, path: str) -> bytes | None:
        """Return a small file of the revision."""
        return self.hub.content.read(self.repo.id, self.sha, path)

    @cached_property
    def files(self) -> dict[str, Blob]:
        """Path and blob of every file."""
        return self.hub.content.files_at(self.repo.id, self.sha)

    @cached_property
    def card(self) -> dict[str, Any]:
        """The front matter of the README."""
        try:
            return front_matter((self.read("README.md") or b"").decode("utf-8", "replace"))
        except (yaml.YAMLError, TypeError):
            return {}

    @cached_property
    def config(self) -> dict[str, Any]:
        """What `config.json` says of the model, in the words of the API."""
        return models.config_of(self.json("config.json"), self.json("tokenizer_config.json"))

    def json(self, path: str) -> dict[str, Any]:
        """Return a JSON file of the revision; empty if it is absent or broken."""
        try:
            value = json.loads(self.read(path) or b"{}")
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def safetensors(self) -> dict[str, Any] | None:
        """Parameters by dtype, from the headers of the weights."""
        return models.parameters(self.hub.content, self.files)

    @property
    def library(self) -> str | None:
        """The library the model is for: the card's word, or what its files look like."""
        return self.card.get("library_name") or models.library(set(self.files))

    @property
    def pipeline(self) -> str | None:
        """The task the model is for."""
        return self.card.get("pipeline_tag") or models.pipeline(self.config)

    @property
    def tags(self) -> list[str]:
        """The card's tags and what the Hub adds to them."""
        return models.tags(self.card, self.files, self.library, self.pipeline, self.config)


def siblings(about: About, *, blobs: bool) -> list[dict[str, Any]]:
    """Return the files of a revision, with sizes and ids if asked for."""
    listed = []
    for path, blob in about.files.items():
        one: dict[str, Any] = {"rfilename": path}
        if blobs:
            one |= {"size": blob.size, "blobId": blob.oid}
            if blob.sha256:
                one["lfs"] = {
                    "sha256": blob.sha256,
                    "size": blob.size,
                    "pointerSize": blob.pointer_size,
                }
        listed.append(one)
    return listed


Field = Callable[[About], Any]

BASE: dict[str, Field] = {
    "_id": lambda a: f"{a.repo.id:024x}",
    "id": lambda a: a.repo.full_name,
    "author": lambda a: a.repo.ns,
    "sha": lambda a: a.sha,
    "private": lambda a: a.repo.private,
    "gated": lambda a: a.repo.gated or False,
    "disabled": lambda _: False,
    "lastModified": lambda a: stamp(a.repo.changed),
    "createdAt": lambda a: stamp(a.repo.created),
    "downloads": lambda a: a.repo.downloads,
    "likes": lambda _: 0,
    "tags": lambda a: a.tags,
    "cardData": lambda a: a.card,
    "usedStorage": lambda a: a.hub.content.large.used(a.repo.id),
}
MODEL: dict[str, Field] = {
    "modelId": lambda a: a.repo.full_name,
    "library_name": lambda a: a.library,
    "pipeline_tag": lambda a: a.pipeline,
    "config": lambda a: a.config,
    "safetensors": lambda a: a.safetensors,
    "transformersInfo": lambda a: models.transformers_info(a.config, a.pipeline),
}


def fields_of(repo: Repo) -> dict[str, Field]:
    """Return what can be told of a repo of this type, and how."""
    return BASE | MODEL if repo.type == "model" else BASE


def info(call: Call) -> Answer:
    """Describe a repo at a revision: everything, or what `expand` names."""
    repo = call.repo()
    sha = call.hub.content.sha(repo.id, call.param("rev", "main"))
    about = About(call.hub, repo, sha)
    wanted = expanded(call)
    told = tell(about, set(wanted) if wanted else None)
    if not wanted or "siblings" in wanted:
        told["siblings"] = siblings(about, blobs=call.flag("blobs"))
    if not wanted or {"sdk", "runtime", "host", "subdomain"} & set(wanted):
        call.hub.described(repo, told)
    return JSONResponse(told, headers={"X-Repo-Commit": sha})


def expanded(call: Call) -> list[str]:
    """Return the properties a request names, in both spellings clients use."""
    query = call.request.query_params
    named = [*query.getlist("expand"), *query.getlist("expand[]")]
    return [name for name in named if name not in ("true", "false")]


def tell(about: About, wanted: set[str] | frozenset[str] | None) -> dict[str, Any]:
    """Return the wanted properties of a repo, those that have a value."""
    always = {"_id", "id"}
    values = {
        name: field(about)
        for name, field in fields_of(about.repo).items()
        if wanted is None or name in wanted | always
    }
    return {name: value for name, value in values.items() if value is not None}


def listing(call: Call) -> Answer:
    """List the repos of a type that the caller may see, last changed first, page by page."""
    kind = call.param("kind").removesuffix("s")
    if kind not in PREFIX:
        nowhere(call)
    found = [repo for repo in call.hub.repos.list(kind) if matches(call, repo)]
    if call.query("sort") in ("createdAt", "created_at"):
        found.sort(key=lambda repo: repo.created, reverse=True)
    page, headers = paged(call, found)
    return JSONResponse([in_list(call, repo) for repo in page], headers=headers)


def matches(call: Call, repo: Repo) -> bool:
    """Return whether a repo is one the caller may see and asks for."""
    author = call.query("author")
    if not call.caller.may_read(repo) or (author and repo.ns != author):
        return False
    if call.query("search").lower() not in repo.full_name.lower():
        return False
    filters = [*call.request.query_params.getlist("filter")]
    named = {one for joined in filters for one in joined.split(",") if one}
    if call.query("pipeline_tag"):
        named.add(call.query("pipeline_tag"))
    return not named or named <= set(main_of(call.hub, repo).tags)


def main_of(hub: Hub, repo: Repo) -> About:
    """Return a repo at its main branch."""
    return About(hub, repo, hub.content.sha(repo.id, "main"))


def in_list(call: Call, repo: Repo) -> dict[str, Any]:
    """Return what a list tells of a repo."""
    about = main_of(call.hub, repo)
    wanted = expanded(call)
    full = call.flag("full") or call.flag("cardData")
    told = tell(about, set(wanted) if wanted else LISTED | ({"cardData"} if full else set()))
    if full or "siblings" in wanted:
        told["siblings"] = siblings(about, blobs=False)
    if repo.type == "space" and (not wanted or {"sdk", "runtime", "subdomain"} & set(wanted)):
        call.hub.described(repo, told)
    return told
