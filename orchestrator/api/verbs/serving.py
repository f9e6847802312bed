"""Verbs over trained models that answer on a page or behind an address."""

from __future__ import annotations

from backends.handle import Handle
from orchestrator import deploy as flow
from orchestrator.api import requests
from orchestrator.api.answers import Deployed, DeploymentList
from orchestrator.api.arguments import as_arguments
from orchestrator.api.errors import DeploymentRefused
from orchestrator.api.verb import Caller, verb
from orchestrator.deploy import known
from orchestrator.deploy.documents import GONE, Deployment, DeploymentPlan, RemovedDeployment
from orchestrator.deploy.request import deployment_request
from orchestrator.jobs.client import Client
from orchestrator.settings.layers import ARGUMENTS
from orchestrator.words import money
from worker.errors import BadConfig
from worker.finding import Finding


@verb()
def check_deployment(caller: Caller, asked: requests.CheckDeployment) -> DeploymentPlan:
    """Check a deployment of a trained model, free and in seconds: account, model, machine, price.

    `ok` says whether it may be made, `findings` what was found, each with what mends it.
    """
    plan = _checked(caller.client, asked).document()
    wrong = _unbounded(caller, asked, plan)
    if wrong is None:
        return plan
    finding = Finding("warn", "price", wrong.message, wrong.fix)
    return plan.model_copy(update={"findings": [*plan.findings, finding]})


@verb(changes=True)
def deploy(caller: Caller, asked: requests.Deploy) -> Deployed:
    """Let a trained model of the Hub answer on a page; answers as soon as it is made.

    The same call again brings it up to date. Follow it with `deployment`.
    """
    client = caller.client
    checked = _checked(client, asked)
    if checked.ready is None:
        raise DeploymentRefused(checked)
    if wrong := _unbounded(caller, asked, checked.document()):
        raise wrong
    handle = flow.send(client, checked.ready, caller.on_progress)
    return Deployed(deployment=known.seen(client, handle), findings=checked.findings)


@verb()
def deployments(caller: Caller, asked: requests.Nothing) -> DeploymentList:
    """List the deployments that are known here, and what they cost now."""
    found = known.known_deployments(caller.client)
    costs = [one.costs for one in found]
    return DeploymentList(
        deployments=[one.document for one in found],
        usd_per_hour=sum(one[1] for one in costs if one),
    )


@verb()
def deployment(caller: Caller, asked: requests.DeploymentAsked) -> Deployment:
    """Say how a deployment is; `wait_seconds` waits until it answers."""
    client = caller.client
    handle = _handle(client, asked.deployment)
    now = known.seen(client, handle)
    if not asked.wait_seconds or now.ready or now.stage == GONE:
        return now
    if not client.place(handle).look(handle).status.alive:
        return now
    flow.watch(client, handle, timeout=asked.wait_seconds)
    return known.seen(client, handle)


@verb(changes=True)
def pause_deployment(caller: Caller, asked: requests.NamedDeployment) -> Deployment:
    """Stop a deployment and what it costs, until it is deployed again."""
    return known.pause(caller.client, _handle(caller.client, asked.deployment))


@verb(changes=True, removes=True)
def remove_deployment(caller: Caller, asked: requests.NamedDeployment) -> RemovedDeployment:
    """Delete a deployment. Its model stays."""
    return known.remove(caller.client, _handle(caller.client, asked.deployment))


def _checked(client: Client, asked: requests.CheckDeployment) -> flow.DeployCheck:
    found = deployment_request(asked.settings, ARGUMENTS).checked(client, asked.model)
    return as_arguments(found)


def _unbounded(
    caller: Caller, asked: requests.CheckDeployment, plan: DeploymentPlan
) -> BadConfig | None:
    """Return what is wrong with a deployment that costs more an hour than was allowed; else none.

    Where caps are asked for, one that costs needs one.
    """
    usd, most = plan.usd_per_hour, asked.max_usd_per_hour
    if not usd or (most is None and not caller.needs_cap) or (most is not None and usd <= most):
        return None
    field = "field 'max_usd_per_hour'"
    allowed = f"{field} is needed" if most is None else f"{field} is {most:g}"
    return BadConfig(
        f"{allowed}: this costs {money(usd)} an hour on {plan.flavor} while it is awake.",
        fix=f"max_usd_per_hour={usd:g}; it sleeps, and costs nothing, after {plan.sleep_seconds}"
        " seconds without a question (deploy_sleep).",
    )


def _handle(client: Client, name: str) -> Handle:
    """Return the deployment of this handle or name. Raises `BadConfig`."""
    if (found := client.deployment(name)) is None:
        raise BadConfig(f"no deployment {name!r} is known here.", fix="`deployments` lists them.")
    return found
