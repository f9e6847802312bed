"""What clients may ask of Jobs over HTTP, section 3 of the protocol."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import BaseRoute, Route

from localhub.api.files import paged
from localhub.api.volumes import checked
from localhub.errors import Refusal, bad_request, first_wrong, forbidden, repo_not_found
from localhub.http.call import Answer, Call, Handler, endpoint
from localhub.http.entry import SIGN
from localhub.http.sse import event_stream
from localhub.http.tickets import MINUTE, ticket
from localhub.hub import Hub
from localhub.runtime.jobs.metrics import samples
from localhub.runtime.jobs.records import Expose, Job, JobStage, Spec

ModelT = TypeVar("ModelT", bound=BaseModel)

NO_CREDITS = (
    "Pre-paid credit balance is insufficient - add more credits to your account to use Jobs."
)


def routes(hub: Hub) -> list[BaseRoute]:
    """Return the paths of this room."""

    def at(path: str, method: str, handler: Handler) -> Route:
        return Route(f"/api/jobs/{path}", endpoint(hub, handler), methods=[method])

    return [
        at("hardware", "GET", _hardware),
        at("{ns}", "POST", _submit),
        at("{ns}", "GET", _list),
        at("{ns}/{job}", "GET", _inspect),
        at("{ns}/{job}/cancel", "POST", _cancel),
        at("{ns}/{job}/duplicate", "POST", _duplicate),
        at("{ns}/{job}/labels", "PUT", _set_labels),
        at("{ns}/{job}/expose", "PUT", _set_expose),
        at("{ns}/{job}/logs", "GET", _logs),
        at("{ns}/{job}/metrics", "GET", _metrics),
        Route("/jobs/{ns}/{job}", endpoint(hub, _page), methods=["GET"]),
    ]


# who may, and what


def may_run(call: Call) -> str:
    """Return the namespace of the path if the caller may run Jobs there, or refuse."""
    ns = call.param("ns")
    call.need_user()
    if not call.caller.may_run(ns):
        raise forbidden(f"Forbidden: your token or role does not allow Jobs under {ns!r}")
    return ns


def may_see(call: Call) -> str:
    """Return the namespace of the path if the caller belongs to it, or refuse."""
    ns = call.param("ns")
    call.need_user()
    if ns not in call.caller.roles:
        raise forbidden(f"Forbidden: you are no member of {ns!r}")
    return ns


def checked_spec(call: Call, body: object) -> Spec:
    """Return what a Job should do, or refuse: 400 if it makes no sense, 402 without credits."""
    spec = _valid(Spec, body)
    hub = call.hub
    if hub.machines.prices.find(spec.flavor, space=False) is None:
        raise bad_request(f'"flavor" is not a hardware that Jobs can have: {spec.flavor!r}')
    if (spec.dockerImage is None) == (spec.spaceId is None):
        raise bad_request('Exactly one of "dockerImage" and "spaceId" is needed')
    if spec.spaceId is None and not spec.command:
        raise bad_request('"command" is required')
    if spec.spaceId is not None:
        repo = hub.repos.find("space", spec.spaceId)
        if repo is None or not call.caller.may_read(repo):
            raise repo_not_found(anonymous=False)
    checked(hub, call.caller, spec.volumes)
    if not hub.machines.may_pay(call.param("ns")):
        raise Refusal(HTTPStatus.PAYMENT_REQUIRED, NO_CREDITS)
    return spec


def _valid(model: type[ModelT], body: object) -> ModelT:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise bad_request(first_wrong(error)) from error


def _job(call: Call, *, write: bool = False) -> Job:
    """Return the Job of the path, if the caller may see or control it."""
    ns = call.param("ns")
    job = call.hub.jobs.records.get(call.param("job"))
    call.need_user()
    if job is None or job.ns != ns or ns not in call.caller.roles:
        raise Refusal(HTTPStatus.NOT_FOUND, "Job not found")
    if write:
        may_run(call)
    return job


def told(hub: Hub, job: Job) -> dict[str, Any]:
    """Return a Job as the API tells it."""
    return job.shown(owner(hub, job.ns), hub.jobs.urls(job))


def owner(hub: Hub, ns: str) -> dict[str, str]:
    """Return a namespace as the owner of Jobs."""
    account = hub.accounts.find(ns)
    kind, number = (account.kind, account.id) if account else ("user", "")
    return {"id": number, "name": ns, "type": kind}


def initiator(call: Call) -> dict[str, str]:
    """Return the caller as the one who started a Job."""
    name = call.need_user()
    return {**owner(call.hub, name), "type": "user"}


# verbs


def _hardware(call: Call) -> Answer:
    return call.hub.machines.prices.listed(space=False)


def _submit(call: Call) -> Answer:
    ns = may_run(call)
    body = call.json()
    spec = checked_spec(call, body)
    job = call.hub.jobs.submit(ns, spec, initiator(call))
    if "name" not in spec.labels:
        job = _relabelled(call, job, {**spec.labels, "name": f"job-{job.id[:8]}"})
    return told(call.hub, job)


def _list(call: Call) -> Answer:
    ns = may_see(call)
    stages = set(call.request.query_params.getlist("stage"))
    labels = dict(one.partition("=")[::2] for one in call.request.query_params.getlist("label"))
    found = [
        job
        for job in call.hub.jobs.records.of(ns)
        if (not stages or job.stage in stages) and labels.items() <= job.spec.labels.items()
    ]
    page, headers = paged(call, found)
    return JSONResponse([told(call.hub, job) for job in page], headers=headers)


def _inspect(call: Call) -> Answer:
    return told(call.hub, _job(call))


def _cancel(call: Call) -> Answer:
    return told(call.hub, call.hub.jobs.cancel(_job(call, write=True).id))


def _duplicate(call: Call) -> Answer:
    job = _job(call, write=True)
    spec = checked_spec(call, job.spec.model_dump())
    again = call.hub.jobs.submit(job.ns, spec, {"type": "duplicated-job", "id": job.id})
    return told(call.hub, again)


def _relabelled(call: Call, job: Job, labels: dict[str, str]) -> Job:
    with call.hub.store.write():
        spec = call.hub.jobs.known(job.id).spec
        return call.hub.jobs.change(job.id, spec=spec.model_copy(update={"labels": labels}))


def _set_labels(call: Call) -> Answer:
    job = _job(call, write=True)
    labels = _valid(Spec, {"labels": call.json().get("labels")}).labels
    return told(call.hub, _relabelled(call, job, labels))


def _set_expose(call: Call) -> Answer:
    job = _job(call, write=True)
    expose = _valid(Expose, call.json())
    with call.hub.store.write():
        spec = call.hub.jobs.known(job.id).spec
        changed = spec.model_copy(update={"expose": expose})
        return told(call.hub, call.hub.jobs.change(job.id, spec=changed))


# streams


def _logs(call: Call) -> Answer:
    """Stream the log from its first line, or its last `tail`, until the Job has ended."""
    job = _job(call)
    tail = call.query("tail")
    if tail and not tail.isdigit():
        raise bad_request('"tail" must be a number of lines')
    jobs, conditions = call.hub.jobs, call.hub.machines.conditions
    return event_stream(
        call.hub.machines.log(f"job-{job.id}").follow(
            lambda: jobs.over(job.id), last=int(tail) if tail else None
        ),
        keep_alive=conditions.keep_alive,
        cut_after=call.hub.faults.cut_after(call.request.scope),
    )


def _metrics(call: Call) -> Answer:
    job = _job(call)
    if job.stage.final:
        raise Refusal(HTTPStatus.NOT_ACCEPTABLE, "The Job has finished")
    flavor = call.hub.machines.prices.find(job.spec.flavor, space=False)
    assert flavor is not None
    jobs = call.hub.jobs
    return event_stream(
        samples(job.id, flavor, jobs.running, lambda: jobs.known(job.id).stage is JobStage.RUNNING),
        kind="metric",
        cut_after=call.hub.faults.cut_after(call.request.scope),
    )


def _page(call: Call) -> Answer:
    """Send a browser on to the Job's first exposed port; without one, tell the Job."""
    job = _job(call)
    urls = call.hub.jobs.urls(job)
    if not urls or job.spec.expose is None:
        return told(call.hub, job)
    key = f"job-{job.id}-{job.spec.expose.all()[0]}/sign"
    sign = ticket(call.hub, key, call.need_user(), MINUTE)
    return RedirectResponse(f"{urls[0]}/?{SIGN}={sign}", HTTPStatus.FOUND)
