"""Secrets, which nobody reads back, and variables of Spaces."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Literal

from starlette.routing import BaseRoute, Route

from localhub.errors import Refusal, bad_request
from localhub.http.call import Answer, Call, Handler, endpoint
from localhub.hub import Hub
from localhub.runtime.spaces.records import Setting, Space
from localhub.storage.repos import Repo

Kind = Literal["secrets", "variables"]
KEY = re.compile(r"[a-zA-Z][_a-zA-Z0-9]*")


def routes(hub: Hub) -> list[BaseRoute]:
    """Return the paths of this room."""

    def at(kind: Kind, method: str, handler: Handler) -> Route:
        return Route(
            f"/api/spaces/{{ns}}/{{name}}/{kind}", endpoint(hub, handler), methods=[method]
        )

    return [
        at("secrets", "GET", lambda call: _shown(call, "secrets")),
        at("secrets", "POST", lambda call: _set(call, "secrets")),
        at("secrets", "DELETE", lambda call: _unset(call, "secrets")),
        at("variables", "GET", lambda call: _shown(call, "variables")),
        at("variables", "POST", lambda call: _set(call, "variables")),
        at("variables", "DELETE", lambda call: _unset(call, "variables")),
    ]


def space_of(call: Call, *, write: bool) -> tuple[Repo, Space]:
    """Return the Space of the path, if the caller may see or control it."""
    repo = call.repo("space", write=write)
    space = call.hub.spaces.records.get(repo.id)
    if space is None:
        raise bad_request("This Space was never set up")
    return repo, space


def _setting(given: object) -> tuple[str, Setting]:
    if not isinstance(given, dict) or not isinstance(given.get("value"), str):
        raise bad_request('"key" and "value" are required')
    key = given.get("key")
    if not isinstance(key, str) or not KEY.fullmatch(key):
        raise bad_request(f'"key" {key!r} fails to match the required pattern: {KEY.pattern}')
    return key, Setting(value=given["value"], description=given.get("description"))


def read(given: object) -> dict[str, Setting]:
    """Return the settings of a request that makes a Space, or refuse."""
    return dict(_setting(one) for one in given) if isinstance(given, list) else {}


def check_collision(space: Space) -> None:
    """Refuse a Space in which a secret and a variable have one name."""
    for key in space.secrets.keys() & space.variables.keys():
        raise bad_request(f"Collision on variables and secrets names: {key}")


def _shown(call: Call, kind: Kind) -> Answer:
    _, space = space_of(call, write=True)
    return _told(space, kind)


def _told(space: Space, kind: Kind) -> dict[str, Any]:
    settings: dict[str, Setting] = getattr(space, kind)
    secret = kind == "secrets"
    return {key: setting.shown(key, secret=secret) for key, setting in settings.items()}


def _set(call: Call, kind: Kind) -> Answer:
    key, setting = _setting(call.json())
    return _change_settings(call, kind, lambda settings: {**settings, key: setting})


def _unset(call: Call, kind: Kind) -> Answer:
    key = call.json().get("key")

    def without(settings: dict[str, Setting]) -> dict[str, Setting]:
        if key not in settings:
            raise Refusal(HTTPStatus.NOT_FOUND, f"There is no {key!r} among the {kind}")
        return {name: setting for name, setting in settings.items() if name != key}

    return _change_settings(call, kind, without)


def _change_settings(
    call: Call, kind: Kind, change: Callable[[dict[str, Setting]], dict[str, Setting]]
) -> Answer:
    spaces = call.hub.spaces
    repo, _ = space_of(call, write=True)
    with call.hub.store.write():
        space, _ = spaces.known(repo.id)
        changed: dict[str, Any] = {kind: change(getattr(space, kind))}
        space = spaces.change(repo.id, **changed)
        check_collision(space)
        spaces.settings_changed(repo.id)
    return _told(space, kind)
