"""What clients may ask of Spaces over HTTP, section 2 of the protocol."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from starlette.routing import BaseRoute, Route

from localhub.api.spaces import settings
from localhub.api.volumes import checked
from localhub.auth.caller import Caller
from localhub.errors import Refusal, bad_request, conflict, forbidden
from localhub.http.call import Answer, Call, Handler, endpoint
from localhub.http.sse import event_stream
from localhub.hub import Hub
from localhub.runtime.prices import FREE_FLAVOR
from localhub.runtime.spaces.environment import host, subdomain
from localhub.runtime.spaces.readme import SDKS
from localhub.runtime.spaces.records import NEVER, Space, SpaceStage
from localhub.storage.repos import Repo

NO_SLEEP_TIME = "Cannot change the sleep time for cpu-basic Spaces"


def routes(hub: Hub) -> list[BaseRoute]:
    """Return the paths of this room."""

    def at(path: str, **methods: Handler) -> list[BaseRoute]:
        where = f"/api/spaces/{{ns}}/{{name}}/{path}"
        return [Route(where, endpoint(hub, do), methods=[m]) for m, do in methods.items()]

    return [
        Route("/api/spaces/hardware", endpoint(hub, _hardware), methods=["GET"]),
        *settings.routes(hub),
        *at("runtime", GET=_runtime),
        *at("hardware", POST=_request_hardware),
        *at("sleeptime", POST=_sleep_time),
        *at("pause", POST=lambda call: _verb(call, _pause)),
        *at("restart", POST=lambda call: _verb(call, _restart)),
        *at("dev-mode", POST=_dev_mode),
        *at("volumes", PUT=_set_volumes, DELETE=_set_volumes),
        *at("duplicate", POST=_duplicate),
        *at("logs/{kind:str}", GET=_logs),
    ]


# creation and description, for the hub's callbacks


def on_create(hub: Hub, repo: Repo, body: dict[str, Any], caller: Caller) -> None:
    """Make a Space's record from the one POST that creates its repo, or refuse."""
    if repo.type != "space":
        return
    sdk = body.get("sdk")
    if sdk not in SDKS:
        raise bad_request(f'"sdk" must be one of [{", ".join(SDKS)}]')
    owner = hub.accounts.find(repo.ns)
    if sdk != "static" and not (owner and owner.pays):
        raise Refusal(
            HTTPStatus.PAYMENT_REQUIRED,
            f"A paid plan (PRO, Team or Enterprise) is needed to create a {sdk} Space.",
        )
    flavor = body.get("hardware") or FREE_FLAVOR
    _check_hardware(hub, repo, flavor)
    space = Space(
        repo=repo.id,
        sdk=sdk,
        flavor=flavor,
        sleep_seconds=_checked_sleep(body.get("sleepTimeSeconds"), flavor),
        secrets=settings.read(body.get("secrets")),
        variables=settings.read(body.get("variables")),
        volumes=checked(hub, caller, body.get("volumes") or []),
    )
    settings.check_collision(space)
    hub.spaces.records.put(space)


def on_info(hub: Hub, repo: Repo, info: dict[str, Any]) -> None:
    """Add what a Space's description has beyond that of other repos."""
    space = hub.spaces.records.get(repo.id) if repo.type == "space" else None
    if space is not None:
        info.update(
            sdk=space.sdk,
            subdomain=subdomain(repo.full_name),
            host=f"http://{host(hub, repo)}",
            runtime=space.runtime(),
        )


# reading


def _hardware(call: Call) -> Answer:
    return call.hub.machines.prices.listed(space=True)


def _runtime(call: Call) -> Answer:
    return settings.space_of(call, write=False)[1].runtime()


def _logs(call: Call) -> Answer:
    """Stream a log from its first line; it goes on while the Space may still say something."""
    kind = call.param("kind")
    if kind not in {"build", "run"}:
        raise Refusal(HTTPStatus.NOT_FOUND, f"There is no log called {kind!r}")
    repo, _ = settings.space_of(call, write=False)
    if repo.ns not in call.caller.roles:
        raise forbidden("Forbidden: only members may read the logs of a Space")
    records = call.hub.spaces.records

    def over() -> bool:
        space = records.get(repo.id)
        if space is None or kind == "build":
            return space is None or space.stage is not SpaceStage.BUILDING
        return not space.stage.moving and not call.hub.spaces.at_work(repo.id)

    return event_stream(
        call.hub.machines.log(f"space-{repo.id}-{kind}").follow(over),
        keep_alive=call.hub.machines.conditions.keep_alive,
        cut_after=call.hub.faults.cut_after(call.request.scope),
    )


# hardware and sleep


def _check_hardware(hub: Hub, repo: Repo, flavor: object) -> None:
    found = hub.machines.prices.find(flavor, space=True)
    if found is None:
        raise bad_request(f'"flavor" is not a hardware that Spaces can have: {flavor!r}')
    if found.hourly(space=True) > 0 and not hub.machines.may_pay(repo.ns):
        raise Refusal(
            HTTPStatus.PAYMENT_REQUIRED,
            f"You must have a valid payment method to use {flavor}: "
            f"add one to the account {repo.ns} first.",
        )


def _checked_sleep(seconds: object, flavor: str) -> int | None:
    if seconds is None:
        return None
    if flavor == FREE_FLAVOR:
        raise bad_request(NO_SLEEP_TIME)
    if not isinstance(seconds, int) or (seconds != NEVER and seconds <= 0):
        raise bad_request('"seconds" must be a positive number of seconds, or -1 for never')
    return seconds


def _request_hardware(call: Call) -> Answer:
    """Move a Space to other hardware, which restarts it; one that is down stays down."""
    repo, _ = settings.space_of(call, write=True)
    body = call.json()
    flavor = body.get("flavor")
    _check_hardware(call.hub, repo, flavor)
    sleep = _checked_sleep(body.get("sleepTimeSeconds"), str(flavor))
    spaces = call.hub.spaces
    with call.hub.store.write():
        space, _ = spaces.known(repo.id)
        same = space.flavor == flavor
        space = spaces.change(repo.id, flavor=flavor, sleep_seconds=sleep)
        if not same:
            spaces.settings_changed(repo.id)
    return spaces.known(repo.id)[0].runtime()


def _sleep_time(call: Call) -> Answer:
    repo, space = settings.space_of(call, write=True)
    seconds = call.json().get("seconds")
    if seconds is None:
        raise bad_request('"seconds" is required')
    sleep = _checked_sleep(seconds, space.flavor)
    return call.hub.spaces.change(repo.id, sleep_seconds=sleep).runtime()


# verbs


def _verb(call: Call, act: Callable[[Call, Repo], Space]) -> Answer:
    repo, _ = settings.space_of(call, write=True)
    return act(call, repo).runtime()


def _pause(call: Call, repo: Repo) -> Space:
    return call.hub.spaces.rest(repo.id, SpaceStage.PAUSED)


def _restart(call: Call, repo: Repo) -> Space:
    space, _ = call.hub.spaces.known(repo.id)
    _check_hardware(call.hub, repo, space.flavor)
    return call.hub.spaces.begin(repo.id, build=call.flag("factory"))


def _dev_mode(call: Call) -> Answer:
    _, space = settings.space_of(call, write=True)
    if call.json().get("enabled"):
        raise bad_request("Dev mode is not available on this Hub")
    return space.runtime()


def _set_volumes(call: Call) -> Answer:
    repo, _ = settings.space_of(call, write=True)
    given = checked(call.hub, call.caller, call.json().get("volumes", []))
    call.hub.spaces.change(repo.id, volumes=given)
    call.hub.spaces.settings_changed(repo.id)
    return None


def _duplicate(call: Call) -> Answer:
    """Copy a Space's files and variables, never its secrets, into a new Space."""
    source, space = settings.space_of(call, write=False)
    creator = call.need_write_token()
    body = call.json()
    target = str(body.get("repository", ""))
    if not call.caller.may_create(target.partition("/")[0]):
        raise forbidden(f"You may not create repos under {target.partition('/')[0]!r}")
    hub = call.hub
    if hub.repos.find("space", target) is not None:
        raise conflict("You already created this space repo")
    wish = {**body, "sdk": space.sdk, "variables": _copied(space, body)}
    url = f"{hub.endpoint}/spaces/{target}"
    visibility = body.get("visibility", "private" if source.private else "public")
    with hub.store.write():
        repo = hub.repos.create(
            "space", target, private=visibility == "private", creator=creator, url=url
        )
        sha = hub.content.add_commit(
            repo.id,
            hub.content.ids_at(source.id, hub.content.sha(source.id, "main")),
            parents=(),
            author=creator,
            when=hub.clock.now(),
            message=f"Duplicate from {source.full_name}",
        )
        hub.content.set_ref(repo.id, "refs/heads/main", sha)
        hub.created(repo, wish, call.caller)
    hub.committed(repo, sha)
    return {"url": url}


def _copied(space: Space, body: dict[str, Any]) -> list[dict[str, Any]]:
    given = body.get("variables") or []
    named = {one.get("key") for one in given}
    kept = [
        {"key": key, "value": setting.value, "description": setting.description}
        for key, setting in space.variables.items()
        if key not in named
    ]
    return [*kept, *given]
