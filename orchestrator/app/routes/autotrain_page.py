"""The addresses of AutoTrain's page that programs call: uploads, models, what trains here.

What they answer has its keys. Login and logout are the app's own.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath
from typing import Any

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from orchestrator.api.answering import Answered, answered
from orchestrator.api.answers import Launch
from orchestrator.api.errors import failure
from orchestrator.api.errors import told as failed
from orchestrator.api.verb import Caller
from orchestrator.api.verbs import VERBS
from orchestrator.app.base import App
from orchestrator.app.routes.api import FAILURES, response
from orchestrator.app.routes.autotrain import block, created, job_of, told
from orchestrator.exits import FAILED
from orchestrator.form import uploads
from orchestrator.form.models import popular
from orchestrator.jobs.glance import Glance
from orchestrator.jobs.lines import printed
from orchestrator.mentions import settings_by_flag
from orchestrator.settings.gather import task_of
from orchestrator.settings.job import JobSettings
from worker import disk
from worker.errors import BadConfig, HubtrainError
from worker.params import settings_of

CUSTOM_MODELS = "AUTOTRAIN_CUSTOM_MODELS"
"""Environment variable with models that are offered first, with commas between them."""

HERE = JobSettings.model_fields["backend"].default
"""The backend whose jobs it would have run itself."""

TRAINING, VALIDATION = "data_files_training", "data_files_valid"


def mount(web: FastAPI, app: App) -> None:
    """Add the addresses."""
    page = _Page(app)

    async def create(request: Request) -> Response:
        try:
            async with request.form() as sent:
                return await run_in_threadpool(page.create, sent)
        except OSError as error:  # the files could not be kept
            return told(Answered(failed(*disk.refused(error), FAILED)), created)

    web.add_api_route("/ui/create_project", create, methods=["POST"], responses=FAILURES)
    for path, answer in (
        ("model_choices/{task}", page.model_choices),
        ("accelerators", page.accelerators),
        ("is_model_training", page.is_model_training),
        ("logs", page.logs),
        ("stop_training", page.stop_training),
        ("help/{name}", page.help),
    ):
        named = {"parameters": [_in_path(name) for name in re.findall(r"{(\w+)}", path)]}
        shown: dict[str, Any] = {"openapi_extra": named, "responses": FAILURES}
        web.add_api_route(f"/ui/{path}", _in_words(answer), name=path, methods=["GET"], **shown)


def _in_path(name: str) -> dict[str, Any]:
    """Return how a part of an address is described in the OpenAPI document."""
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _in_words(answer: Callable[..., Any]) -> Callable[[Request], Response]:
    """Return an address that answers what a function returns, or what it says is wrong."""

    def call(request: Request) -> Response:
        try:
            return JSONResponse(answer(**request.path_params))
        except HubtrainError as error:
            return response(Answered(failure(error)))

    return call


@dataclass(frozen=True, slots=True)
class _Page:
    app: App

    def model_choices(self, task: str) -> list[dict[str, str]]:
        """Return models to begin with: its variable's, then those that many use now."""
        found, given = task_of(task.replace("~", "-"), "the task")
        said = os.environ.get(CUSTOM_MODELS, "").split(",")
        names = dict.fromkeys(one.strip() for one in said if one.strip())
        names |= dict.fromkeys(popular(self.app.client, found, given))
        return [{"id": name, "name": name} for name in names]

    def accelerators(self) -> dict[str, int]:
        """Return how many GPUs this machine has."""
        flavors = self.app.client.provider(HERE).flavors()
        return {"accelerators": sum(one.accelerators for one in flavors)}

    def is_model_training(self) -> dict[str, Any]:
        """Return whether a job trains on this machine; `pids` are the ids of those that do."""
        going = [job.job_id for job in self._here() if not job.final]
        return {"model_training": bool(going), "pids": going}

    def logs(self) -> dict[str, list[str]]:
        """Return what the newest job of this machine has printed, the last line first."""
        newest = next(self._here(), None)
        if newest is None:
            return {"logs": []}
        client = self.app.client
        lines = list(printed(client, client.records.get(newest.job_id)))
        return {"logs": lines[::-1]}

    def stop_training(self) -> dict[str, bool]:
        """Stop the jobs of this machine; those that run elsewhere go on.

        Raises `HubtrainError` where one is not known to have stopped, once all were told to.
        """
        client, problems = self.app.client, []
        for job in [one for one in self._here() if not one.final]:
            watch = client.watch(client.records.get(job.job_id))
            watch.cancel()
            problems += [watch.problem] if watch.problem else []
        if problems:
            raise problems[0]
        return {"success": True}

    def help(self, name: str) -> dict[str, str]:
        """Return the meaning of a setting."""
        if (setting := settings_by_flag().get(name.replace("_", "-"))) is None:
            raise BadConfig(f"no setting {name!r}.")
        return {"message": setting.help}

    def create(self, sent: FormData) -> Response:
        """Launch what the form asks for, its files among it; the answer has `monitor_url`."""
        try:
            body, upload = _sent(sent)
            given = job_of(body)
        except BadConfig as error:
            return told(Answered(failure(error)), created)
        done = answered(VERBS["train"], Caller(self.app.client), given)
        if upload and isinstance(done.document, Launch):
            uploads.used(upload, done.document.job.job)
        elif upload:
            uploads.dropped(upload)
        return told(done, lambda launched: {**created(launched), "success": "true"})

    def _here(self) -> Iterator[Glance]:
        """Yield the jobs that train, or trained, on this machine, the newest first."""
        client = self.app.client
        mine = [job for job in client.glances() if job.backend == HERE]
        yield from client.asked(mine)


def _sent(sent: FormData) -> tuple[dict[str, Any], str]:
    """Return what its form says as the fields of its API, and the upload; "" where there is none.

    Raises `BadConfig`.
    """
    body = _body({k: v for k, v in sent.items() if isinstance(v, str)})
    training, validation = (_files(sent, part) for part in (TRAINING, VALIDATION))
    if bool(training) == bool(body.get("hub_dataset")):
        raise BadConfig(f"give {TRAINING} or hub_dataset: one of them.")
    job_of(body)  # what nobody knows is refused before files are kept
    if not training:
        return body, ""
    where, upload = _received(training, validation)
    return {**body, **where}, upload


def _body(said: Mapping[str, str]) -> dict[str, Any]:
    """Return its form's fields as those of its API. Raises `BadConfig`."""
    blocks = {name: _block(name, said.get(name, "")) for name in ("params", "column_mapping")}
    names = {"autotrain_user": "username"}
    plain = {names.get(k, k): v for k, v in said.items() if v and k not in blocks}
    task, _ = task_of(str(plain.get("task") or "").replace("~", "-"), "the task")
    keys = {key for setting in settings_of(task.params) for key in setting.keys}
    mapped: dict[str, Any] = {}
    for key, column in blocks["column_mapping"].items():
        name = key if key in keys else f"{key}_column"
        if name in keys:
            mapped[name] = column
        else:  # several at once, as tables may have them
            mapped["target_columns"] = str(column).split(",")
    return {**plain, "params": blocks["params"], "column_mapping": mapped}


def _block(name: str, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise BadConfig(f"field '{name}': it is no JSON: {error}.") from error
    return block({name: found}, name)


def _files(sent: FormData, part: str) -> list[UploadFile]:
    found = [*sent.getlist(part), *sent.getlist(f"{part}[]")]
    return [one for one in found if isinstance(one, UploadFile) and one.filename]


def _received(
    training: list[UploadFile], validation: list[UploadFile]
) -> tuple[dict[str, str], str]:
    """Return where files lie that were sent, as fields, and the upload. Raises `BadConfig`."""
    several = len(training) > 1 or len(validation) > 1
    if validation and several:
        raise BadConfig(f"of {TRAINING} and {VALIDATION} one file each: several are not joined.")
    named = [("train", training), ("valid", validation)] if validation else [("", training)]
    with tempfile.TemporaryDirectory() as folder:
        kept = list(_kept(Path(folder), named))
        path = uploads.received(kept)
    splits = {"train_split": "train", "valid_split": "valid"} if validation else {}
    return {"hub_dataset": path, **splits}, path


def _kept(folder: Path, named: list[tuple[str, list[UploadFile]]]) -> Iterator[tuple[str, Path]]:
    """Yield the files, each under the name of its split, or else its own."""
    for split, files in named:
        for number, file in enumerate(files):
            path = folder / f"{split}{number}"
            with path.open("wb") as out:
                for piece in iter(partial(file.file.read, 1 << 20), b""):
                    out.write(piece)
            own = str(file.filename)
            yield (f"{split}{PurePath(own).suffix}" if split else own), path
