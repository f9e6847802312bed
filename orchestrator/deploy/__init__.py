"""The way from a trained model to one that answers: check, plan, send, wait.

Values in, values out, as in `orchestrator.flow`: nothing here prints or asks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import backends.deploy
from backends.base import Flavor, LaunchRequest, OnProgress, silent
from backends.deploy.base import SECRET, Deployed, DeployOrder, Place
from backends.errors import BackendError, LaunchFailed, UnknownFlavor
from backends.handle import Handle
from orchestrator.deploy.documents import DeploymentPlan
from orchestrator.deploy.model import Deployable
from orchestrator.deploy.room import cheapest, check_room
from orchestrator.jobs.client import Client
from orchestrator.jobs.deployments import DeploymentRecord
from orchestrator.preflight.account import check_account
from orchestrator.preflight.report import Findings
from orchestrator.preflight.token import Asks
from orchestrator.settings.deploy import DeploySettings
from orchestrator.settings.job import seconds
from orchestrator.settings.secrets import READ_TOKEN
from orchestrator.words import money
from worker.account import Account, no_token, who
from worker.contract import Deployment
from worker.errors import HubtrainError
from worker.hubclient import endpoint, hub, patiently
from worker.task import Finding

LAST_LINES = 15
POLL_SECONDS = 2.0
START_SECONDS = 3600.0
"""Longest wait until a deployment answers: a large model may have to be fetched first."""


@dataclass(frozen=True)
class Ready:
    """A deployment that has been checked, and not been made."""

    handle: Handle
    model: str
    """What answers: a model by its name, or the app."""

    flavor: Flavor
    request: LaunchRequest
    place: Place[Any]
    sleep_seconds: int | None = None
    """Silence after which a paid machine stops costing; none where that is not ours to say."""

    secrets: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class DeployCheck:
    """What there is to say of a deployment before it is made."""

    findings: tuple[Finding, ...]
    ready: Ready | None = None
    """None where something is wrong."""

    @property
    def ok(self) -> bool:
        """Whether it may be made."""
        return self.ready is not None

    def document(self) -> DeploymentPlan:
        """Return it for programs."""
        found = list(self.findings)
        if (ready := self.ready) is None:
            return DeploymentPlan(ok=False, findings=found)
        return DeploymentPlan(
            ok=True,
            findings=found,
            deployment=str(ready.handle),
            model=ready.model,
            flavor=ready.flavor.name,
            usd_per_hour=ready.flavor.usd_per_hour,
            sleep_seconds=ready.sleep_seconds if ready.flavor.usd_per_hour else None,
            plan=ready.request.to_json(),
        )


def check(
    client: Client,
    settings: DeploySettings,
    find: Callable[[], Deployable],
    owner: str | None,
) -> DeployCheck:
    """Check a deployment, for `owner`, of the model that `find` returns or raises about.

    Free, in seconds, everything wrong at once.
    """
    findings = Findings()
    if (model := findings.attempt("model", find)) is None:
        return DeployCheck(findings.in_order())
    ready = findings.attempt("backend", partial(_check, client, settings, model, owner, findings))
    return DeployCheck(findings.in_order(), None if findings.wrong else ready)


def send(client: Client, ready: Ready, on_progress: OnProgress = silent) -> Handle:
    """Make the deployment, or bring it up to date. Raises `HubtrainError`.

    It is noted first, so that `jobs` shows it whatever becomes of this process.
    """
    handle, flavor, now = ready.handle, ready.flavor, client.clock.now()
    before = next((one for one in client.deployments.all() if one.handle == handle), None)
    client.deployments.put(
        DeploymentRecord(handle, ready.model, flavor.name, flavor.usd_per_hour, now)
    )
    try:
        ready.place.send(ready.request, ready.secrets, on_progress)
    except LaunchFailed:  # nothing of it is there, but for what was there before
        client.deployments.forget(handle)
        if before is not None:
            client.deployments.put(before)
        raise
    return handle


def wait(
    client: Client,
    handle: Handle,
    on_stage: Callable[[str], None] = lambda stage: None,
    timeout: float = START_SECONDS,
) -> Deployed:
    """Return the deployment once it answers. `on_stage` is told each new stage.

    Raises `HubtrainError` where it will not, with the last that it wrote, and after `timeout`.
    """
    now = watch(client, handle, on_stage, timeout)
    if not now.ready:
        raise unready(handle, now.status.stage)
    return now


def watch(
    client: Client,
    handle: Handle,
    on_stage: Callable[[str], None] = lambda stage: None,
    timeout: float = START_SECONDS,
) -> Deployed:
    """Return the deployment once it answers, or as it is after `timeout`. Raises as `wait`."""
    place, until, stage = client.place(handle), client.clock.monotonic() + timeout, ""
    while True:
        now = place.look(handle)
        if now.status.stage != stage:
            on_stage(stage := now.status.stage)
        if now.ready:
            return now
        if not now.status.alive:
            raise _failed(place, now)
        left = until - client.clock.monotonic()
        if left <= 0:
            return now
        client.clock.sleep(min(POLL_SECONDS, left))


def unready(handle: Handle | str, stage: str | None) -> HubtrainError:
    """Return what is said of a deployment that has been waited for long enough."""
    return HubtrainError(
        f"{handle} does not answer yet ({stage}); it goes on starting.",
        fix=f"hubtrain jobs shows it; hubtrain cancel {handle} stops it.",
    )


def _check(
    client: Client,
    settings: DeploySettings,
    model: Deployable,
    owner: str | None,
    findings: Findings,
) -> Ready:
    kind, machine = backends.deploy.resolve(settings.deploy_backend or "spaces")
    place = kind(client.token, client.clock)
    if client.token is None:
        raise no_token("a deployment")
    account = who(hub(client.token), client.clock)
    owner = owner or account.name
    name = settings.deploy_name or place.default_name(model.name)
    check_account(account, Asks(owner, (f"{owner}/{name}",)), findings, place.needs)
    findings.ok("model", model.words)
    findings.add(_refused(model, settings, place))
    flavor = _rentable(place, machine, model, owner, findings)
    order = _order(model, settings, flavor, owner, name)
    findings.ok("price", _price(place, order))
    if not flavor.usd_per_hour and "deploy_sleep" in settings.model_fields_set:
        text = f"--deploy-sleep is not used: on {flavor.name}, which is free, the Hub decides."
        findings.warn("settings", text)
    secrets = _secrets(client, account, model, findings)
    handle = Handle(place.scheme, order.path)
    request = place.plan(order)
    return Ready(handle, model.name, flavor, request, place, order.sleep_seconds, secrets)


def _refused(model: Deployable, settings: DeploySettings, place: Place[Any]) -> Iterator[Finding]:
    """Yield what cannot be with this model at this place."""
    if settings.deploy_public and model.private:
        fix = "leave --deploy-public out, or make the model public first"
        text = f"{model.name} is private, and a public page would show it."
        yield Finding("error", "project", text, fix)
    if model.base and not place.takes_adapters:
        text = f"{model.name} is an adapter, and {place.name} take whole models alone."
        yield Finding("error", "model", text, "Merge it into its base first, and deploy that.")
    if model.fixed and not place.fixes_answers:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in model.fixed)
        text = f"{place.name} cannot keep {flags}: each request says how it is answered."
        fix = f"Leave {flags} out, or --deploy-backend {' or '.join(_that_keep())}"
        yield Finding("error", "settings", text, fix)


def _that_keep() -> list[str]:
    """Return the places that keep settings of answers."""
    return [name for name in backends.deploy.names() if backends.deploy.load(name).fixes_answers]


def _rentable(
    place: Place[Any], asked: str | None, model: Deployable, owner: str, findings: Findings
) -> Flavor:
    """Return the machine to rent; finds whether the model fits on it."""
    flavors = place.flavors(owner)
    if not flavors:
        raise BackendError(f"{owner} can rent no machine of {place.name} now.")
    flavor = _flavor(place, asked, flavors, model)
    check_room(model, flavor, flavors, place.name, findings)
    return flavor


def _order(
    model: Deployable, settings: DeploySettings, flavor: Flavor, owner: str, name: str
) -> DeployOrder:
    return DeployOrder(
        deployment=Deployment(
            task=model.task.name, model=model.ref, base=model.base, question=dict(model.fixed)
        ),
        does=model.page.does,
        extras=model.task.extras,
        owner=owner,
        name=name,
        private=not settings.deploy_public,
        flavor=flavor,
        sleep_seconds=int(seconds(settings.deploy_sleep)),
        needs_token=model.needs_token,
    )


def _flavor(
    place: Place[Any], asked: str | None, flavors: list[Flavor], model: Deployable
) -> Flavor:
    """Return the machine that is asked for; where none is, the usual one or one that it fits on."""
    if asked is None and place.usual_flavor is None:
        return cheapest(model, flavors) or flavors[-1]
    wanted = asked or place.usual_flavor
    found = next((flavor for flavor in flavors if flavor.name == wanted), None)
    if found is None:
        raise UnknownFlavor(place.name, str(wanted), {f.name: f.usd_per_hour for f in flavors})
    return found


def _price(place: Place[Any], order: DeployOrder) -> str:
    usd = order.flavor.usd_per_hour
    if not usd:
        return f"free on {order.flavor.name} · {place.rests(order)}"
    return f"{money(usd)}/h while it is awake on {order.flavor.name} · {place.rests(order)}"


def _secrets(
    client: Client, account: Account, model: Deployable, findings: Findings
) -> dict[str, str]:
    """Return the token with which the machine reads the model: the one that may do the least."""
    if not model.needs_token:
        return {}
    if given := os.environ.get(READ_TOKEN, "").strip():
        for name in model.names:
            ask = partial(hub(given).auth_check, name)
            findings.attempt(
                "account", partial(patiently, f"{READ_TOKEN}: {name}", ask, client.clock)
            )
        findings.ok("account", f"the machine reads the model with the token in {READ_TOKEN}")
        return {SECRET: given}
    if account.token_role != "read":
        findings.warn(
            "account",
            f"{model.name} can be read with a token alone, so the machine gets yours, which may "
            "write too, as a secret.",
            f"{READ_TOKEN}=hf_… with one that only reads: {endpoint()}/settings/tokens",
        )
    return {SECRET: str(client.token)}


def _failed(place: Place[Any], now: Deployed) -> HubtrainError:
    """Return why a deployment does not answer, with the last that it wrote."""
    what = now.status.detail or f"it ended as {now.status.stage}"
    try:
        last = list(place.last_words(now.handle))[-LAST_LINES:]
    except HubtrainError:
        last = []
    costs = now.status.costing
    cost = "IT GOES ON COSTING." if costs else "It costs nothing as it is."
    lines = "".join(f"\n  {line}" for line in last)
    return HubtrainError(
        f"{now.handle} does not answer: {what}. {cost}{lines}",
        fix=f"hubtrain rm {now.handle} deletes it; the same command tries again.",
    )
