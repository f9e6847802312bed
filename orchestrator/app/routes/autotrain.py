"""The addresses of AutoTrain's API, with its bodies: programs written for it go on working.

What it promised and did not keep is done here: what is trained is pushed, settings that are unknown
are refused, columns are mapped for each task. Answers have its keys, and beside them those of ours.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

import worker
from orchestrator.api.answering import Answered, answered
from orchestrator.api.answers import Launch, LogLines
from orchestrator.api.errors import failure
from orchestrator.api.verb import Caller
from orchestrator.api.verbs import VERBS
from orchestrator.app.base import App
from orchestrator.app.routes.api import FAILURES, given_in, response
from orchestrator.settings.gather import task_of
from worker.errors import BadConfig
from worker.params import Setting, settings_of

NAMES = {
    "base_model": "model",
    "hub_dataset": "data_path",
    "hardware": "backend",
    "username": "username",
    "project_name": "project_name",
    "train_split": "train_split",
    "valid_split": "valid_split",
}
"""Fields of its body, and the settings that they are."""

HERE = "local-ui"
"""What it calls the machine that the app runs on."""


def mount(web: FastAPI, app: App) -> None:
    """Add the addresses."""

    async def create(request: Request) -> Response:
        return await _done(app, request, "train", job_of, created)

    async def stop(request: Request) -> Response:
        return await _done(app, request, "cancel", _named, lambda done: {})

    async def logs(request: Request) -> Response:
        return await _done(app, request, "logs", _last_lines, _printed)

    for name, answer in (("create_project", create), ("stop_training", stop), ("logs", logs)):
        web.add_api_route(f"/api/{name}", answer, methods=["POST"], name=name, responses=FAILURES)
    web.add_api_route("/api/version", lambda: {"version": worker.__version__})
    web.add_api_route("/ui/params/{task}/{which}", params, responses=FAILURES)


async def _done(
    app: App,
    request: Request,
    name: str,
    asked: Callable[[dict[str, Any]], dict[str, Any]],
    as_told: Callable[[Any], dict[str, Any]],
) -> Response:
    """Answer one of its requests with a verb, in its keys."""
    try:
        given = asked(await given_in(request))
    except BadConfig as error:
        done = Answered(failure(error))
    else:
        done = await run_in_threadpool(answered, VERBS[name], Caller(app.client), given)
    return told(done, as_told)


def told(done: Answered, as_told: Callable[[Any], dict[str, Any]]) -> Response:
    """Return what came of a call with our keys and, by `as_told`, with its own."""
    plain = response(done)
    if (wrong := done.failure) is not None:
        more = {"success": False, "message": f"{wrong.error} {wrong.fix}".strip()}
    else:
        more = {"success": True, "message": "", **as_told(done.document)}
    body = json.loads(bytes(plain.body)) | more
    return JSONResponse(body, plain.status_code)


def job_of(body: dict[str, Any]) -> dict[str, Any]:
    """Return the job that it asks for. Raises `BadConfig` for fields that it does not know."""
    known = {"task", "params", "column_mapping", *NAMES}
    if unknown := [name for name in body if name not in known]:
        raise BadConfig("\n".join(f"no field '{name}'." for name in unknown))
    fields = {new: body[old] for old, new in NAMES.items() if body.get(old) is not None}
    if fields.get("backend") == HERE:
        fields["backend"] = "local"
    blocks = (block(body, name) for name in ("params", "column_mapping"))
    given = {k: v for one in blocks for k, v in one.items() if v is not None and v != "null"}
    return {"task": body.get("task"), "settings": {"push_to_hub": True, **given, **fields}}


def block(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the object in a field, empty where none is given. Raises `BadConfig` for others."""
    found = body.get(name) or {}
    if not isinstance(found, dict):
        raise BadConfig(f"field '{name}': it is to be an object.")
    return found


def created(done: Launch) -> dict[str, Any]:
    """Return its keys of a job that was launched."""
    job = done.job
    return {"job_id": job.job, "message": f"{job.project} is {job.state}", "monitor_url": job.url}


def _named(body: dict[str, Any]) -> dict[str, Any]:
    """Return the job of its `jid`: an id of ours, or the Space as `user/space`."""
    name = str(body.get("jid") or body.get("job_id") or "")
    if not name:
        raise BadConfig("field 'jid' is needed.")
    return {"job": f"spaces://{name}" if name.count("/") == 1 else name}


def _last_lines(body: dict[str, Any]) -> dict[str, Any]:
    return {**_named(body), "limit": 1000}


def _printed(done: LogLines) -> dict[str, Any]:
    return {"logs": "\n".join(done.lines)}


def params(task: str, which: str) -> Response:
    """Return the settings of a task as its form had them: the `basic` ones, or all (`full`)."""
    try:
        found, given = task_of(task.replace("~", "-"), "the task")
    except BadConfig as error:
        return response(Answered(failure(error)))
    every = settings_of(found.params)
    shown = every if which == "full" else [one for one in every if one.group == every[0].group]
    return JSONResponse({one.name: _box(one, given.get(one.name, _default(one))) for one in shown})


def _default(setting: Setting) -> Any:
    return None if setting.required else setting.default


def _box(setting: Setting, value: Any) -> dict[str, Any]:
    """Return a setting as its form had one: a number, a list to choose from, or text."""
    options = [True, False] if setting.type is bool else list(setting.choices)
    kind = "number" if setting.type in {int, float} else "dropdown" if options else "string"
    plain = list(value) if isinstance(value, tuple) else value
    label = setting.name.replace("_", " ").capitalize()
    box = {"type": kind, "label": label, "help": setting.help, "default": plain}
    return box | ({"options": options} if options else {})
