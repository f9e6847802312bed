"""The app on a Space: checked as the deployment of a model is, and then made and found as one."""

from __future__ import annotations

from functools import partial

from backends.deploy.spaces import Spaces
from backends.deploy.spaces.app import APP_NAME, app_space, command
from backends.deploy.spaces.request import APP
from backends.handle import Handle
from orchestrator.deploy import DeployCheck, Ready
from orchestrator.jobs.client import Client
from orchestrator.preflight.account import check_account, lacks, meets
from orchestrator.preflight.report import Findings
from orchestrator.preflight.token import Asks
from worker.account import no_token, who
from worker.hubclient import hub

__all__ = ["APP", "again", "check_app"]


def check_app(client: Client, owner: str | None, name: str | None, *, private: bool) -> DeployCheck:
    """Check whether `owner` can have the app on a Space; free, in seconds."""
    findings = Findings()
    ready = findings.attempt("backend", partial(_ready, client, owner, name, private, findings))
    return DeployCheck(findings.in_order(), None if findings.wrong else ready)


def _ready(
    client: Client, owner: str | None, name: str | None, private: bool, findings: Findings
) -> Ready:
    if client.token is None:
        raise no_token("a Space")
    account = who(hub(client.token), client.clock)
    place = Spaces(client.token, client.clock)
    request = app_space(owner or account.name, name or APP_NAME, private=private)
    asks = Asks(owner or account.name, (request.repo_id,))
    check_account(account, asks, findings)
    payer = account.namespaces.get(asks.owner)
    for need in place.needs if payer else ():
        if payer and meets(payer, need) is False:
            findings.error(
                "account", lacks(account, payer, need), "hubtrain app shows it on this machine"
            )
    visitors = _visitors(account.name, asks.owner, private)
    findings.ok("backend", f"{visitors} may visit it and sign in")
    findings.ok("price", f"free on {request.flavor} · who starts a job there pays for it")
    flavor = next(one for one in place.flavors(asks.owner) if one.name == request.flavor)
    return Ready(Handle(place.scheme, request.repo_id), APP, flavor, request, place)


def _visitors(user: str, owner: str, private: bool) -> str:
    if not private:
        return "everybody with an account at the Hub"
    return "you alone" if owner == user else f"members of {owner}"


def again(handle: Handle) -> str:
    """Return the command that starts the app's Space again."""
    return command(handle.path)
